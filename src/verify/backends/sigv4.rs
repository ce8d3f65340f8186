//! Signature version 4 of a request to AWS (docs/adr/0010). Called by `aws`; knows no service and sends nothing.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Keys of an account.
#[derive(Clone)]
pub(crate) struct Keys {
    /// `AWS_ACCESS_KEY_ID`.
    pub(crate) access: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub(crate) secret: String,
    /// `AWS_SESSION_TOKEN`, of temporary keys.
    pub(crate) session: Option<String>,
}

// Derived, it would print the secret.
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.access)
    }
}

/// What is signed.
#[derive(Debug)]
pub(crate) struct Signed<'a> {
    /// HTTP method.
    pub(crate) method: &'a str,
    /// Path, percent-encoded.
    pub(crate) path: &'a str,
    /// Query, sorted and percent-encoded.
    pub(crate) query: &'a str,
    /// Headers by lower-case name; `host` and `x-amz-date` among them.
    pub(crate) headers: &'a BTreeMap<&'a str, String>,
    /// Body.
    pub(crate) body: &'a [u8],
    /// Region, such as `eu-central-1`.
    pub(crate) region: &'a str,
    /// Service, such as `xray`.
    pub(crate) service: &'a str,
}

/// Value of the header `authorization`.
pub(crate) fn authorization(keys: &Keys, request: &Signed<'_>) -> String {
    let date = request.headers.get("x-amz-date").map(String::as_str).unwrap_or_default();
    let day = date.get(..8).unwrap_or_default();
    let names = request.headers.keys().copied().collect::<Vec<_>>().join(";");
    let headers = request.headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim()));
    let canonical = format!(
        "{}\n{}\n{}\n{}\n{names}\n{}",
        request.method,
        request.path,
        request.query,
        headers.collect::<String>(),
        hex(&Sha256::digest(request.body))
    );
    let scope = format!("{day}/{}/{}/aws4_request", request.region, request.service);
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let mut key = format!("AWS4{}", keys.secret).into_bytes();
    for part in [day, request.region, request.service, "aws4_request", &to_sign] {
        key = hmac(&key, part.as_bytes());
    }
    let (access, signature) = (&keys.access, hex(&key));
    format!("AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, Signature={signature}")
}

#[allow(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of AWS' own documentation ("Create a signed AWS API request").
    #[test]
    fn the_published_example_has_the_published_signature() {
        let keys = Keys {
            access: "AKIDEXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session: None,
        };
        let headers = BTreeMap::from([
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned()),
            ("host", "iam.amazonaws.com".to_owned()),
            ("x-amz-date", "20150830T123600Z".to_owned()),
        ]);
        let request = Signed {
            method: "GET",
            path: "/",
            query: "Action=ListUsers&Version=2010-05-08",
            headers: &headers,
            body: b"",
            region: "us-east-1",
            service: "iam",
        };
        assert_eq!(
            authorization(&keys, &request),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }
}
