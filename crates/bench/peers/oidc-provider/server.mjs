// npm `oidc-provider` as its documentation starts it: its own adapter in memory, RS256, refresh tokens that rotate.
//
// NODE_MODULES names the folder it is installed in. Prints `listening on http://127.0.0.1:PORT`. GET /seed begins a
// session through the library's own models, as a sign-in would, and answers with its first refresh token.

import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const installed = createRequire(`${process.env.NODE_MODULES}/`);
const { default: Provider } = await import(pathToFileURL(installed.resolve("oidc-provider")));

const SCOPE = "openid offline_access";

const server = createServer().listen(0, "127.0.0.1");
await once(server, "listening");
const issuer = `http://127.0.0.1:${server.address().port}`;

const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "bench",
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token"],
      redirect_uris: ["https://app.example.com/callback"],
    },
  ],
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), alg: "RS256", use: "sig", kid: "bench" }] },
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  rotateRefreshToken: true,
  ttl: { AccessToken: 600, Grant: 86_400, IdToken: 600, RefreshToken: 86_400 },
});

const answer = provider.callback();
server.on("request", (request, response) =>
  request.url === "/seed" ? seed(response) : answer(request, response),
);
process.on("SIGTERM", () => process.exit(0));
console.log(`listening on ${issuer}`);

async function seed(response) {
  const accountId = "ada";
  const grant = new provider.Grant({ accountId, clientId: "bench" });
  grant.addOIDCScope(SCOPE);
  const token = new provider.RefreshToken({
    accountId,
    client: await provider.Client.find("bench"),
    grantId: await grant.save(),
    gty: "authorization_code",
    scope: SCOPE,
  });
  const body = JSON.stringify({ refresh_token: await token.save() });
  response.setHeader("content-type", "application/json").setHeader("content-length", body.length).end(body);
}
