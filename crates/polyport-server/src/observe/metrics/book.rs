//! What is registered; in tests also a list of it, with which the documentation is compared.

use prometheus_client::registry::{Metric, Registry, Unit};

/// A registry.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) registry: Registry,
    /// Names as they are read, and types.
    #[cfg(test)]
    pub(super) listed: Vec<(String, &'static str)>,
}

impl Book {
    pub(super) fn register(&mut self, name: &str, help: &str, metric: impl Metric) {
        #[cfg(test)]
        self.list(name, &metric);
        self.registry.register(name, help, metric);
    }

    pub(super) fn register_with_unit(&mut self, name: &str, help: &str, unit: Unit, metric: impl Metric) {
        #[cfg(test)]
        self.list(&format!("{name}_{}", unit.as_str()), &metric);
        self.registry.register_with_unit(name, help, unit, metric);
    }

    #[cfg(test)]
    fn list(&mut self, name: &str, metric: &impl Metric) {
        use prometheus_client::metrics::MetricType;
        let (end, kind) = match metric.metric_type() {
            MetricType::Counter => ("_total", "counter"),
            MetricType::Info => ("_info", "gauge"),
            MetricType::Gauge => ("", "gauge"),
            MetricType::Histogram => ("", "histogram"),
            MetricType::Unknown => ("", "untyped"),
        };
        self.listed.push((format!("{name}{end}"), kind));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;

    #[test]
    fn the_documentation_lists_all_figures() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/OBSERVABILITY.md");
        let text = std::fs::read_to_string(path).unwrap();
        let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
        let kinds = ["counter", "gauge", "histogram"];
        let mut told: Vec<(String, String)> = rows
            .filter_map(|(name, rest)| Some((name.to_owned(), rest.split_once(" |")?.0.to_owned())))
            .filter(|(_, kind)| kinds.contains(&kind.as_str()))
            .collect();
        let listed = Metrics::new().listed;
        let mut listed: Vec<(String, String)> =
            listed.into_iter().map(|(name, kind)| (name, kind.to_owned())).collect();
        told.sort();
        listed.sort();
        assert_eq!(told, listed, "left: docs/OBSERVABILITY.md, right: what is registered");
    }
}
