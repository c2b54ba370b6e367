use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use attesto_server::config::Settings;
use serde_json::{Map, Value, json};

use super::{program, text, yaml};
use crate::authority::Authority;
use crate::clients::Tools;
use crate::process::{Process, run, until};

const HAPROXY: &str = "ATTESTO_TEST_HAPROXY";
const COMPOSE: &str = "docker/compose.yaml";
const KUBERNETES: &str = "kubernetes/attesto.yaml";

/// What Argon2id takes (docs/configuration.md, "Fixed limits").
const MIB_PER_HASH: u64 = 19;

/// What is in flight at the end has this long (docs/configuration.md, "Signals").
const FINISH_SECONDS: u64 = 25;

#[test]
fn haproxy_takes_its_configuration_and_keeps_what_is_the_operators() {
    let Some(mut check) = program(HAPROXY) else { return };
    let authority = Authority::dev();
    let server = authority.start();
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file = haproxy_configuration(folder.path(), port, server.address);
    let (code, said, complaint) = run(check.args(["-c", "-f"]).arg(&file), "").any();
    assert!(code == Some(0) && !complaint.contains("WARNING"), "{said}{complaint}");

    let mut proxy = program(HAPROXY).unwrap();
    proxy.arg("-f").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
    let _proxy = Process(proxy.spawn().unwrap());
    let ask = |path: &str| {
        let url = format!("https://127.0.0.1:{port}{path}");
        run(Command::new("curl").args(["--silent", "--insecure", "--include", "--path-as-is", &url]), "")
            .any()
            .1
    };
    let status = |path: &str| ask(path).split(' ').nth(1).map(str::to_owned);
    let jwks = until("a server is found ready", || {
        let answer = ask("/.well-known/jwks.json");
        answer.contains("\"keys\"").then_some(answer.to_lowercase())
    });
    assert!(jwks.contains("strict-transport-security: max-age=31536000"), "{jwks}");
    for hidden in ["/metrics", "/%6detrics", "//metrics", "/metrics/", "/METRICS", "/livez", "/readyz?x"] {
        assert_eq!(status(hidden).as_deref(), Some("404"), "{hidden}");
    }
    assert_eq!(status("/revocations").as_deref(), Some("200"));
}

/// The one of compose, with a certificate, a port and a server of this test.
fn haproxy_configuration(folder: &Path, port: u16, server: SocketAddr) -> PathBuf {
    let certificate = folder.join("tls.pem");
    let new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=auth", "-keyout", "-"];
    fs::write(&certificate, openssl(&new)).unwrap();
    let file = folder.join("haproxy.cfg");
    let configuration = text("docker/haproxy.cfg")
        .replace("/run/secrets/tls.pem", certificate.to_str().unwrap())
        .replace("bind :8443", &format!("bind 127.0.0.1:{port}"))
        .replace("attesto-1:8080", &server.to_string())
        .replace("attesto-2:8080", &server.to_string());
    fs::write(&file, configuration).unwrap();
    file
}

#[test]
fn services_of_compose_may_little_and_share_what_they_should() {
    let Some(tools) = Tools::find() else { return };
    let compose = yaml(&tools, COMPOSE).remove(0);
    let services = compose["services"].as_object().unwrap();
    for (name, service) in services {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], json!(["ALL"]), "{name}");
        assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]), "{name}");
        let user = service["user"].as_str().unwrap();
        assert!(!user.starts_with('0') && user.contains(':'), "{name} runs as {user}");
        for secret in service["secrets"].as_array().unwrap() {
            assert!(compose["secrets"].get(secret.as_str().unwrap()).is_some(), "{name} {secret}");
        }
    }
    let ours = ["init", "migrate", "attesto-1", "attesto-2"];
    for name in ours {
        assert_eq!(services[name]["image"], image(), "{name}");
        assert_settings(&services[name]["environment"]);
    }
    assert_eq!(
        ours.map(|name| services[name]["command"][0].as_str().unwrap()),
        ["init", "migrate", "serve", "serve"]
    );
    assert_only_haproxy_is_trusted(&compose);
    let check = compose["services"]["postgres"]["healthcheck"]["test"].as_array().unwrap();
    assert!(check.contains(&json!("--host=127.0.0.1")), "the image's own first server has no TCP: {check:?}");
    let behind: BTreeSet<_> = text("docker/haproxy.cfg")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("server ")?.split(' ').nth(1).map(str::to_owned))
        .collect();
    assert_eq!(behind, ["attesto-1:8080", "attesto-2:8080"].map(str::to_owned).into());
}

/// It has an address that nobody else on the network can be given.
fn assert_only_haproxy_is_trusted(compose: &Value) {
    let address = &compose["services"]["haproxy"]["networks"]["front"]["ipv4_address"];
    assert_eq!(&compose["services"]["attesto-1"]["environment"]["ATTESTO_TRUSTED_PROXIES"], address);
    let network = &compose["networks"]["front"]["ipam"]["config"][0];
    let (subnet, given) = (network["subnet"].as_str().unwrap(), network["ip_range"].as_str().unwrap());
    let address: Ipv4Addr = address.as_str().unwrap().parse().unwrap();
    assert!(is_in(address, subnet) && !is_in(address, given), "{address}");
}

fn is_in(address: Ipv4Addr, network: &str) -> bool {
    let (base, bits) = network.split_once('/').unwrap();
    let network_of = |address: Ipv4Addr| address.to_bits() >> (32 - bits.parse::<u32>().unwrap());
    network_of(address) == network_of(base.parse().unwrap())
}

#[test]
fn the_secret_that_compose_is_told_to_make_is_a_key() {
    let line = text(COMPOSE);
    let line = line
        .lines()
        .find_map(|line| line.strip_prefix("#   ").filter(|line| line.ends_with("> secrets/kek")));
    let authority = Authority::configured(crate::authority::CONFIGURATION);
    let folder = authority.data();
    openssl(&["version"]);
    let script = line.unwrap().replace("secrets/kek", "kek");
    run(Command::new("sh").args(["-c", &format!("umask 077; {script}")]).current_dir(&folder), "").done();
    let said = authority.run_with(&["init"], "alice\ncorrect horse battery\n").done();
    assert!(said.contains("is set up for"), "{said}");
}

#[test]
fn the_image_has_the_version_of_the_program_and_no_root() {
    let file = text("docker/Dockerfile");
    assert!(file.contains(&format!("--tag {} .\n", image())));
    let last = file.rsplit_once("\nFROM ").unwrap().1;
    assert!(last.contains("\nUSER 65532:65532\n") && !last.contains("\nRUN "), "{last}");
    assert!(last.contains("\nENTRYPOINT [\"/usr/local/bin/attesto\"]\n"));
}

#[test]
fn pods_of_kubernetes_may_little() {
    let Some(tools) = Tools::find() else { return };
    let documents = documents(&tools);
    for kind in ["Job", "Deployment"] {
        let pod = &documents[kind]["spec"]["template"]["spec"];
        let of_pod = &pod["securityContext"];
        assert_eq!(
            (&of_pod["runAsNonRoot"], &of_pod["seccompProfile"]["type"]),
            (&json!(true), &json!("RuntimeDefault"))
        );
        assert_ne!(of_pod["runAsUser"], 0, "{kind}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{kind}");
        let container = &pod["containers"][0];
        let expected = json!({
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        });
        assert_eq!(
            (&container["securityContext"], &container["image"]),
            (&expected, &json!(image())),
            "{kind}"
        );
        let secret = &pod["volumes"][0]["secret"];
        assert_eq!(secret["defaultMode"], 0o440, "{kind}: as the program takes it from root");
        assert_eq!(secret["items"], json!([{"key": "kek", "path": "kek"}]), "{kind}");
        // libpq takes no file that a group may read.
        let password = json!({"secretKeyRef": {"name": secret["secretName"], "key": "password"}});
        assert_eq!(container["env"], json!([{"name": "PGPASSWORD", "valueFrom": password}]), "{kind}");
        assert_eq!(container["volumeMounts"][0]["name"], pod["volumes"][0]["name"], "{kind}");
    }
    assert_eq!(documents["Job"]["spec"]["template"]["spec"]["containers"][0]["args"], json!(["migrate"]));
    assert_eq!(documents["ConfigMap"]["data"].get("PGPASSFILE"), None);
}

/// However many cores a node has: whoever sends passwords decides how many are hashed at once.
#[test]
fn the_memory_of_a_pod_is_enough_for_the_passwords_that_its_cores_hash() {
    let Some(tools) = Tools::find() else { return };
    let pod = &documents(&tools)["Deployment"]["spec"]["template"]["spec"];
    let limits = &pod["containers"][0]["resources"]["limits"];
    let cores: u64 = limits["cpu"].as_str().expect("a limit of cores").parse().unwrap();
    let memory: u64 = limits["memory"].as_str().unwrap().strip_suffix("Mi").unwrap().parse().unwrap();
    assert!(cores > 1 && (cores - 1) * MIB_PER_HASH < memory / 2, "{limits}");
}

#[test]
fn kubernetes_asks_paths_that_answer_and_waits_for_the_end() {
    let Some(tools) = Tools::find() else { return };
    let documents = documents(&tools);
    let settings = assert_settings(&documents["ConfigMap"]["data"]);
    let deployment = &documents["Deployment"]["spec"];
    let (pod, labels) = (&deployment["template"]["spec"], &deployment["template"]["metadata"]["labels"]);
    let container = &pod["containers"][0];
    assert_eq!(container["ports"], json!([{"name": "http", "containerPort": settings.listen.port()}]));
    let authority = Authority::dev();
    let server = authority.start();
    for (probe, path) in
        [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]
    {
        assert_eq!(container[probe]["httpGet"], json!({"path": path, "port": "http"}), "{probe}");
        let answer = server.get(path);
        assert_eq!(answer.status, 200, "{probe}: {answer:?}");
    }
    let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace >= settings.shutdown_delay_interval.as_secs() + FINISH_SECONDS, "{grace}");

    assert_eq!(deployment["replicas"], 2);
    for selector in [
        &deployment["selector"]["matchLabels"],
        &documents["Service"]["spec"]["selector"],
        &documents["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
    let policy = &documents["NetworkPolicy"]["spec"];
    let bound = policy["podSelector"]["matchExpressions"][0]["values"].as_array().unwrap();
    for kind in ["Job", "Deployment"] {
        let name = &documents[kind]["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"];
        assert!(bound.contains(name), "{kind}");
    }
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
}

/// By their kinds, of which each is there once.
fn documents(tools: &Tools) -> BTreeMap<String, Value> {
    let documents = yaml(tools, KUBERNETES);
    let count = documents.len();
    let by_kind: BTreeMap<_, _> = documents
        .into_iter()
        .map(|document| (document["kind"].as_str().unwrap().to_owned(), document))
        .collect();
    assert_eq!(by_kind.len(), count);
    assert!(by_kind.values().all(|document| document["metadata"]["namespace"] == "attesto"));
    by_kind
}

/// Of this version, wherever it is named.
fn image() -> String {
    format!("attesto:{}", env!("CARGO_PKG_VERSION"))
}

/// Variables that the program takes, with an issuer and an audience where the shell would put them.
#[track_caller]
fn assert_settings(variables: &Value) -> Settings {
    let variables: &Map<String, Value> = variables.as_object().unwrap();
    let value = |name: &str, value: &str| match name {
        "ATTESTO_ISSUER" => "https://auth.example.com".to_owned(),
        "ATTESTO_SIMPLEJWT_AUDIENCE" => "orders".to_owned(),
        _ => value.to_owned(),
    };
    let variables = variables.iter().map(|(name, text)| (name.clone(), value(name, text.as_str().unwrap())));
    let settings = Settings::read(None, variables).unwrap();
    assert_eq!(settings.key_encryption_keys.len(), 1);
    assert!(settings.key_encryption_keys[0].is_absolute() && settings.database.file().is_none());
    assert!(Path::new(&settings.key_encryption_keys[0]).ends_with("kek"));
    settings
}

fn openssl(arguments: &[&str]) -> String {
    let openssl = Command::new("openssl").args(arguments).output();
    let openssl = openssl.expect("openssl is missing: apt-get install openssl");
    assert!(openssl.status.success(), "{openssl:?}");
    String::from_utf8(openssl.stdout).unwrap()
}
