//! The AWS API: signed JSON requests, and CloudWatch Logs, which needs no more. Called by `aws_checks` and `xray`.
//! Keys come from the environment alone: profiles and single sign-on are the AWS command line's
//! (`eval "$(aws configure export-credentials --format env)"`).

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{env, facts};

use super::BackendError;
use super::http::{Auth, Http};
use super::sigv4::{self, Keys, Signed};

/// One service of AWS, or of a stand-in for it.
#[derive(Debug, Clone)]
pub(crate) struct Aws {
    http: Http,
    host: String,
    service: &'static str,
    region: String,
    keys: Keys,
}

impl Aws {
    /// The service as the environment describes it (`AWS_ENDPOINT_URL`, `AWS_REGION` and keys), where somebody listens at its
    /// address: a stand-in need not run, as other programs of a stack.
    ///
    /// # Errors
    /// In words, when something is missing or nobody listens.
    pub(crate) async fn there(service: &'static str) -> Result<Self, String> {
        let wanted = |name: &str| env::text(name).ok_or_else(|| format!("{name} is not set"));
        let region = env::text("AWS_REGION").or_else(|| env::text("AWS_DEFAULT_REGION"));
        let region = region.unwrap_or_else(|| facts::setting("AWS_REGION"));
        let keys = Keys {
            access: wanted("AWS_ACCESS_KEY_ID")?,
            secret: wanted("AWS_SECRET_ACCESS_KEY")?,
            session: env::text("AWS_SESSION_TOKEN"),
        };
        let own = format!("AWS_ENDPOINT_URL_{}", service.to_uppercase());
        let endpoint = env::text(&own).or_else(|| env::text("AWS_ENDPOINT_URL"));
        let endpoint = endpoint.unwrap_or_else(|| format!("https://{service}.{region}.amazonaws.com"));
        let url = reqwest::Url::parse(&endpoint).map_err(|error| format!("AWS_ENDPOINT_URL={endpoint}: {error}"))?;
        let name = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        let http = Http::new(&endpoint, Auth::None).map_err(|error| error.to_string())?;
        match tokio::net::TcpStream::connect((name, url.port_or_known_default().unwrap_or_default())).await {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                Err(format!("does not run (AWS_ENDPOINT_URL={}: {error})", http.base()))
            }
            // Anything else the checks say themselves.
            _ => Ok(Self { http, host, service, region, keys }),
        }
    }

    /// The address.
    pub(crate) fn address(&self) -> &str {
        self.http.base()
    }

    /// Posts JSON; `target` names the operation where the path does not.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        target: Option<&str>,
        body: &Value,
    ) -> Result<T, BackendError> {
        let body = body.to_string();
        let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string().replace(['-', ':'], "");
        let mut headers = BTreeMap::from([
            (
                "content-type",
                if target.is_some() { "application/x-amz-json-1.1" } else { "application/json" }.to_owned(),
            ),
            ("host", self.host.clone()),
            ("x-amz-date", date),
        ]);
        headers.extend(target.map(|target| ("x-amz-target", target.to_owned())));
        headers.extend(self.keys.session.clone().map(|token| ("x-amz-security-token", token)));
        let authorization = sigv4::authorization(
            &self.keys,
            &Signed {
                method: "POST",
                path,
                query: "",
                headers: &headers,
                body: body.as_bytes(),
                region: &self.region,
                service: self.service,
            },
        );
        let mut sent = headers.into_iter().filter(|(name, _)| *name != "host").collect::<Vec<_>>();
        sent.push(("authorization", authorization));
        self.http.post_with(path, &sent, body).await
    }

    /// Messages of a group of CloudWatch Logs that contain `text`, since a Unix time in milliseconds.
    pub(crate) async fn log_messages(
        &self,
        group: &str,
        text: &str,
        since_unix_ms: f64,
    ) -> Result<Vec<String>, BackendError> {
        #[derive(Deserialize)]
        struct Answer {
            events: Vec<Event>,
        }
        #[derive(Deserialize)]
        struct Event {
            message: String,
        }
        #[allow(clippy::cast_possible_truncation, reason = "milliseconds since 1970 fit for ages")]
        let since = since_unix_ms as i64;
        let body = json!({"logGroupName": group, "filterPattern": format!("\"{text}\""), "startTime": since});
        let answer: Answer = self.post("/", Some("Logs_20140328.FilterLogEvents"), &body).await?;
        Ok(answer.events.into_iter().map(|event| event.message).collect())
    }
}
