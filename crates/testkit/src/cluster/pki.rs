//! The cluster's certificates and kubeconfigs, made by openssl and valid for a month.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use super::NODE_ADDRESS;
use super::components::API_PORT;
use super::state::Layout;
use crate::process;

/// Longer than any soak test.
const VALID_DAYS: &str = "30";

struct Certificate {
    name: &'static str,
    subject: &'static str,
    alternative_names: String,
    has_kubeconfig: bool,
}

/// Each component has its own user, so that the audit log tells them apart.
fn certificates() -> [Certificate; 8] {
    let client = |name, subject| Certificate {
        name,
        subject,
        alternative_names: format!("DNS:{name}"),
        has_kubeconfig: true,
    };
    [
        Certificate {
            name: "apiserver",
            subject: "/CN=kube-apiserver",
            // 198.19.0.1 is the first address of the service range, by which pods know the API server.
            alternative_names: format!(
                "DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:198.19.0.1,IP:{NODE_ADDRESS}"
            ),
            has_kubeconfig: false,
        },
        Certificate {
            has_kubeconfig: false,
            ..client("front-proxy", "/CN=front-proxy")
        },
        client("admin", "/O=system:masters/CN=admin"),
        client("controller-manager", "/CN=system:kube-controller-manager"),
        client("scheduler", "/CN=system:kube-scheduler"),
        client("proxy", "/CN=system:kube-proxy"),
        client("metrics-server", "/O=system:masters/CN=metrics-server"),
        Certificate {
            alternative_names: format!("DNS:node1,IP:{NODE_ADDRESS}"),
            ..client("node", "/O=system:nodes/CN=system:node:node1")
        },
    ]
}

pub(super) fn create(layout: &Layout) -> Result<()> {
    let openssl = |arguments: &[&str]| {
        process::run(
            Command::new("openssl")
                .args(arguments)
                .current_dir(layout.dir.join("pki")),
        )
        .map(drop)
    };
    // Elliptic keys: RSA keys of 2048 bits take a second each.
    let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let mut ca = vec![
        "req",
        "-x509",
        "-days",
        VALID_DAYS,
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
        "-subj",
        "/CN=test-ca",
    ];
    ca.extend(new_key);
    openssl(&ca)?;
    openssl(&[
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-out",
        "service-account.key",
    ])?;
    for certificate in certificates() {
        let [key, request, signed, extensions] =
            ["key", "csr", "crt", "ext"].map(|extension| format!("{}.{extension}", certificate.name));
        let mut ask = vec!["req", "-keyout", &key, "-out", &request, "-subj", certificate.subject];
        ask.extend(new_key);
        openssl(&ask)?;
        let text = format!(
            "subjectAltName={}\nextendedKeyUsage=serverAuth,clientAuth\n",
            certificate.alternative_names
        );
        fs::write(layout.pki(&extensions), text).context("write certificate extensions")?;
        openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            VALID_DAYS,
            "-out",
            &signed,
            "-extfile",
            &extensions,
        ])?;
        if certificate.has_kubeconfig {
            write_kubeconfig(layout, certificate.name)?;
        }
    }
    Ok(())
}

fn write_kubeconfig(layout: &Layout, user: &str) -> Result<()> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": layout.name, "cluster": {
            "server": format!("https://127.0.0.1:{API_PORT}"),
            "certificate-authority": layout.pki("ca.crt"),
        }}],
        "users": [{ "name": user, "user": {
            "client-certificate": layout.pki(&format!("{user}.crt")),
            "client-key": layout.pki(&format!("{user}.key")),
        }}],
        "contexts": [{ "name": layout.name, "context": { "cluster": layout.name, "user": user } }],
        "current-context": layout.name,
    });
    let path = layout.kubeconfig(user);
    fs::write(&path, format!("{config:#}\n")).with_context(|| format!("write {}", path.display()))
}
