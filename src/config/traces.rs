//! Where spans go, by OpenTelemetry's standard variables (`OTEL_…`). They are often set for all programs of a machine:
//! what is wrong with them is warned of, and never stops a start.

use super::raw::Fault;
use percent_encoding::percent_decode_str;
use std::fmt;
use std::time::Duration;
use url::Url;

/// The path below a general endpoint.
const PATH: &str = "v1/traces";

/// What a server does with spans.
#[derive(Clone)]
pub struct Traces {
    /// Where batches are sent to.
    pub endpoint: Url,
    /// What is sent with each; may be secret.
    pub headers: Vec<(String, String)>,
    /// How they are written.
    pub protocol: Protocol,
    /// How long the collector may take for one.
    pub timeout: Duration,
    /// What spans are of.
    pub resource: Vec<(String, String)>,
    /// Which requests have one.
    pub sampler: Sampler,
    /// How long spans may wait for others to share their batch.
    pub delay: Duration,
    /// Most requests whose spans may wait.
    pub queue: usize,
    /// Most spans in a batch, but for those of one more request.
    pub batch: usize,
}

/// Without what may be secret.
impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").field("endpoint", &self.shown()).finish_non_exhaustive()
    }
}

/// How batches are written (OTLP/HTTP).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Protocol Buffers.
    Protobuf,
    /// JSON.
    Json,
}

/// Which requests have spans.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// Whether a caller who traces decides for his requests.
    pub by_parent: bool,
    /// The share of all others, 0 to 1.
    pub ratio: f64,
}

impl Traces {
    /// What these variables ask for; nothing unless they name an endpoint. Adds what is wrong with them to `warnings`.
    pub fn of(variables: &[(String, String)], warnings: &mut Vec<Fault>) -> Option<Self> {
        let mut given = Given { variables, warnings };
        let (place, endpoint) = given.endpoint()?;
        let is_off =
            given.get(&["OTEL_SDK_DISABLED"]).is_some_and(|(_, text)| text.eq_ignore_ascii_case("true"));
        if is_off || !given.has_our_exporter() {
            return None;
        }
        let endpoint = match Url::parse(&endpoint) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
            _ => {
                given.warn(
                    place,
                    "it is no web URL, so nothing is traced",
                    "Write it like http://127.0.0.1:4318",
                );
                return None;
            }
        };
        Some(Self {
            endpoint,
            headers: given.pairs(&["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"]),
            protocol: given.protocol()?,
            timeout: given
                .millis(&["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"], 10_000),
            resource: given.resource(),
            sampler: given.sampler(),
            delay: given.millis(&["OTEL_BSP_SCHEDULE_DELAY"], 5000),
            queue: given.count("OTEL_BSP_MAX_QUEUE_SIZE", 2048, 65_536),
            batch: given.count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, 4096),
        })
    }

    /// The endpoint without a password.
    pub fn shown(&self) -> String {
        let mut shown = self.endpoint.clone();
        // A URL with a host takes both.
        let _ = shown.set_password(None);
        let _ = shown.set_username("");
        shown.set_query(None);
        shown.to_string()
    }
}

/// The variables that were given.
struct Given<'a> {
    variables: &'a [(String, String)],
    warnings: &'a mut Vec<Fault>,
}

impl Given<'_> {
    /// The first of these that is set, and its value. One that is empty counts as not set.
    fn get(&self, names: &[&'static str]) -> Option<(&'static str, String)> {
        names.iter().find_map(|name| {
            let (_, value) =
                self.variables.iter().find(|(own, value)| own == name && !value.trim().is_empty())?;
            Some((*name, value.trim().to_owned()))
        })
    }

    fn warn(&mut self, place: &str, what: &str, mend: &str) {
        self.warnings.push(Fault { place: place.to_owned(), what: what.to_owned(), mend: mend.to_owned() });
    }

    fn endpoint(&self) -> Option<(&'static str, String)> {
        if let Some(exact) = self.get(&["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]) {
            return Some(exact);
        }
        let (place, base) = self.get(&["OTEL_EXPORTER_OTLP_ENDPOINT"])?;
        Some((place, format!("{}/{PATH}", base.trim_end_matches('/'))))
    }

    fn has_our_exporter(&mut self) -> bool {
        let Some((place, exporters)) = self.get(&["OTEL_TRACES_EXPORTER"]) else { return true };
        let has = exporters.split(',').any(|name| name.trim() == "otlp");
        if !has && exporters != "none" {
            self.warn(place, "there is no such exporter here, so nothing is traced", "Choose otlp or none");
        }
        has
    }

    fn protocol(&mut self) -> Option<Protocol> {
        let names = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
        let Some((place, name)) = self.get(&names) else { return Some(Protocol::Protobuf) };
        match name.as_str() {
            "http/protobuf" => Some(Protocol::Protobuf),
            "http/json" => Some(Protocol::Json),
            _ => {
                let mend = "Choose http/protobuf or http/json, mostly on port 4318";
                self.warn(place, "this protocol is not spoken here, so nothing is traced", mend);
                None
            }
        }
    }

    fn millis(&mut self, names: &[&'static str], default: u64) -> Duration {
        let Some((place, text)) = self.get(names) else { return Duration::from_millis(default) };
        let millis = text.parse().ok().filter(|millis| (1..=600_000).contains(millis));
        if millis.is_none() {
            self.warn(
                place,
                &format!("it is not taken, {default} ms are"),
                "Write milliseconds, 1 to 600000",
            );
        }
        Duration::from_millis(millis.unwrap_or(default))
    }

    fn count(&mut self, name: &'static str, default: usize, most: usize) -> usize {
        let Some((place, text)) = self.get(&[name]) else { return default };
        let count = text.parse().ok().filter(|count| (1..=most).contains(count));
        if count.is_none() {
            self.warn(
                place,
                &format!("it is not taken, {default} is"),
                &format!("Write a number, 1 to {most}"),
            );
        }
        count.unwrap_or(default)
    }

    /// `name=value,name=value`, values percent-encoded (as in W3C Baggage).
    fn pairs(&mut self, names: &[&'static str]) -> Vec<(String, String)> {
        let Some((place, text)) = self.get(names) else { return Vec::new() };
        let mut pairs = Vec::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let pair = item.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
            let decoded = pair.filter(|(name, _)| !name.is_empty()).and_then(|(name, value)| {
                let value = percent_decode_str(value).decode_utf8().ok()?;
                (!value.chars().any(char::is_control)).then(|| (name.to_owned(), value.into_owned()))
            });
            match decoded {
                Some(pair) => pairs.push(pair),
                // Not the item itself: it may hold a secret.
                None => {
                    self.warn(place, "one of its items is left out", "Write it like name=value,name=value")
                }
            }
        }
        pairs
    }

    fn resource(&mut self) -> Vec<(String, String)> {
        let mut resource = self.pairs(&["OTEL_RESOURCE_ATTRIBUTES"]);
        if let Some((_, name)) = self.get(&["OTEL_SERVICE_NAME"]) {
            resource.retain(|(key, _)| key != "service.name");
            resource.push(("service.name".to_owned(), name));
        }
        let mut default = |key: &str, value: &str| {
            if !resource.iter().any(|(known, _)| known == key) {
                resource.push((key.to_owned(), value.to_owned()));
            }
        };
        default("service.name", "claviger");
        default("service.version", env!("CARGO_PKG_VERSION"));
        resource
    }

    fn sampler(&mut self) -> Sampler {
        let always = Sampler { by_parent: true, ratio: 1.0 };
        let Some((place, name)) = self.get(&["OTEL_TRACES_SAMPLER"]) else { return always };
        let by_parent = name.starts_with("parentbased_");
        let ratio = match name.strip_prefix("parentbased_").unwrap_or(&name) {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => self.ratio(),
            _ => {
                let mend =
                    "Choose always_on, always_off or traceidratio, perhaps with parentbased_ before it";
                self.warn(place, "there is no such sampler here; parentbased_always_on is taken", mend);
                return always;
            }
        };
        Sampler { by_parent, ratio }
    }

    fn ratio(&mut self) -> f64 {
        let Some((place, text)) = self.get(&["OTEL_TRACES_SAMPLER_ARG"]) else { return 1.0 };
        let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        if ratio.is_none() {
            self.warn(place, "it is no share; all requests are traced", "Write a number from 0 to 1");
        }
        ratio.unwrap_or(1.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");

    fn of(variables: &[(&str, &str)]) -> (Option<Traces>, Vec<String>) {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut warnings = Vec::new();
        let traces = Traces::of(&variables, &mut warnings);
        (traces, warnings.iter().map(|fault| fault.place.clone()).collect())
    }

    fn good(variables: &[(&str, &str)]) -> Traces {
        let (traces, warnings) = of(&[&[ENDPOINT], variables].concat());
        assert!(warnings.is_empty(), "{warnings:?}");
        traces.unwrap()
    }

    #[test]
    fn nothing_is_traced_unless_an_endpoint_is_named() {
        assert!(of(&[]).0.is_none());
        assert!(of(&[("OTEL_SERVICE_NAME", "x"), ("OTEL_TRACES_SAMPLER", "always_on")]).0.is_none());
        assert!(of(&[ENDPOINT, ("OTEL_SDK_DISABLED", "True")]).0.is_none());
        assert!(of(&[ENDPOINT, ("OTEL_SDK_DISABLED", "false")]).0.is_some());
        assert!(of(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]).0.is_none());
        assert!(of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).0.is_none());
    }

    #[test]
    fn the_defaults_are_the_standard_s() {
        let traces = good(&[]);
        assert_eq!(traces.endpoint.as_str(), "http://collector:4318/v1/traces");
        assert_eq!((traces.protocol, traces.timeout.as_secs()), (Protocol::Protobuf, 10));
        assert_eq!(traces.sampler, Sampler { by_parent: true, ratio: 1.0 });
        assert_eq!(traces.resource.first().unwrap().1, "claviger");
    }

    #[test]
    fn what_is_said_of_traces_wins() {
        let traces = good(&[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://other/traces?key=secret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=Bearer%20s3cret, x-b=2"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=no,deployment.environment.name=a%2Cb"),
            ("OTEL_SERVICE_NAME", "auth"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ]);
        assert_eq!(traces.endpoint.as_str(), "https://other/traces?key=secret");
        let header = ("authorization".to_owned(), "Bearer s3cret".to_owned());
        assert_eq!((traces.headers.first(), traces.headers.len()), (Some(&header), 2));
        assert_eq!((traces.protocol, traces.delay.as_millis()), (Protocol::Json, 100));
        assert_eq!(traces.sampler, Sampler { by_parent: false, ratio: 0.25 });
        let of = |key: &str| traces.resource.iter().filter(|(own, _)| own == key).collect::<Vec<_>>();
        assert_eq!((of("service.name").len(), of("service.name").first().unwrap().1.as_str()), (1, "auth"));
        assert_eq!(of("deployment.environment.name").first().unwrap().1, "a,b");
        assert!(!format!("{traces:?}").contains("s3cret") && !format!("{traces:?}").contains("key="));
    }

    #[test]
    fn what_is_wrong_is_warned_of() {
        for (name, value, is_traced) in [
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4318", false),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", false),
            ("OTEL_TRACES_EXPORTER", "zipkin", false),
            ("OTEL_TRACES_SAMPLER", "xray", true),
            ("OTEL_EXPORTER_OTLP_HEADERS", "no-value", true),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%0d%0ac", true),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", true),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0", true),
        ] {
            let (traces, warnings) = of(&[ENDPOINT, (name, value)]);
            assert_eq!((traces.is_some(), warnings), (is_traced, vec![name.to_owned()]), "{value}");
        }
        let ratio = [ENDPOINT, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")];
        assert_eq!(of(&ratio).1, ["OTEL_TRACES_SAMPLER_ARG"]);
    }
}
