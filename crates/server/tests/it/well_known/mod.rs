mod authorization_server;
mod jwks;
