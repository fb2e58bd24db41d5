//! The older text form of figures, for readers that do not ask for `OpenMetrics`.

/// Writes `OpenMetrics` text in the older form: there counters are named with their `_total`, what is an `info` is a gauge, and there are
/// no units and no end.
pub(crate) fn classic(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let types = || text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut kind = "";
    for line in text.lines() {
        let Some(about) = line.strip_prefix("# ") else {
            out.extend([line, "\n"]);
            continue;
        };
        let mut words = about.splitn(3, ' ');
        let (Some(word @ ("HELP" | "TYPE")), Some(name), Some(rest)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        // The help of a figure stands before its type.
        kind = types().find(|(known, _)| *known == name).map_or(kind, |(_, kind)| kind);
        let (end, shown) = match kind {
            "counter" => ("_total", "counter"),
            "info" => ("_info", "gauge"),
            "unknown" => ("", "untyped"),
            kind => ("", kind),
        };
        let rest = if word == "TYPE" { shown } else { rest };
        out.extend(["# ", word, " ", name, end, " ", rest, "\n"]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_form_names_figures_as_they_are_read() {
        let text = "# HELP a_requests Requests.\n# TYPE a_requests counter\na_requests_total{x=\"1\"} 2\n# HELP b_seconds Time.\n\
                    # TYPE b_seconds histogram\n# UNIT b_seconds seconds\nb_seconds_sum 1.0\n# HELP c Version.\n# TYPE c info\n\
                    c_info{version=\"1\"} 1\n# EOF\n";
        assert_eq!(
            classic(text),
            "# HELP a_requests_total Requests.\n# TYPE a_requests_total counter\na_requests_total{x=\"1\"} 2\n\
             # HELP b_seconds Time.\n# TYPE b_seconds histogram\nb_seconds_sum 1.0\n# HELP c_info Version.\n# TYPE c_info gauge\n\
             c_info{version=\"1\"} 1\n"
        );
    }
}
