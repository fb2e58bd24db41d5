//! The shipped alerts and the dashboard against a real Prometheus that reads a real gateway.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{e2e, shell};

/// What is shipped.
const SHIPPED: &str = "deploy/grafana";

/// Where this step works.
const PLACE: &str = "target/prometheus";

/// Longest wait for a program to be ready, or for figures to be there.
const PATIENCE: Duration = Duration::from_secs(30);

/// What only Grafana knows, and what it stands for here.
const VARIABLES: [(&str, &str); 4] =
    [("$__rate_interval", "20s"), ("$__range", "1m"), ("$instance", ".*"), ("$provider", ".*")];

/// Figures that a quiet gateway does not have.
const MAY_BE_EMPTY: [&str; 6] = [
    "polyport_translation_lossy_total",
    "polyport_limit_refusals_total",
    "polyport_hedges_total",
    "polyport_client_disconnects_total",
    "polyport_conversation_answers_total",
    "class=\"cache_read\"",
];

/// A gateway with a provider that is down, so that there are failures too.
const GATEWAY: &str = "discover: false
providers:
  down: { base_url: 'http://127.0.0.1:9/v1', proxy: none, keys: [sk-of-the-test], requests: 8 }
models:
  fast: [ { target: down/m }, { target: echo/echo, priority: 2 } ]
";

/// Checks what is shipped, then evaluates all of it.
pub(crate) fn run() -> Result<()> {
    if let Err(error) = installed() {
        // Whoever has no Prometheus can work on everything else.
        ensure!(!shell::in_ci(), "Prometheus cannot be installed: {error:#}");
        println!("Prometheus is not here and cannot be installed ({error:#}): skipped");
        return Ok(());
    }
    let shipped = |name: &str| format!("{SHIPPED}/{name}");
    promtool(&["check", "config", &shipped("prometheus.yml")])?;
    promtool(&["check", "rules", &shipped("alerts.yml")])?;
    promtool(&["test", "rules", &shipped("alerts.test.yml")])?;
    e2e::build()?;
    fs::create_dir_all(PLACE)?;
    let gateway = Gateway::start()?;
    gateway.ask()?;
    check_figures(&gateway.get("/metrics")?)?;
    let prometheus = Prometheus::start(&gateway.address)?;
    prometheus.wait_for_figures(&gateway)?;
    let (queries, figures) = prometheus.evaluate_panels()?;
    let alerts = prometheus.evaluate_alerts()?;
    println!("{queries} queries of the dashboard over {figures} figures and {alerts} alerts evaluated");
    Ok(())
}

/// Debian's package has both programs.
fn installed() -> Result<()> {
    if ["prometheus", "promtool"].iter().all(|program| shell::exists(program)) {
        return Ok(());
    }
    ensure!(shell::may_install(), "install it with: apt-get install prometheus");
    shell::install("prometheus")
}

fn promtool(args: &[&str]) -> Result<()> {
    let output = Command::new("promtool").args(args).output().context("cannot start promtool")?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "promtool {} failed:\n{said}", args.join(" "));
    Ok(())
}

/// What the gateway writes is what Prometheus wants to read.
fn check_figures(figures: &str) -> Result<()> {
    let mut child =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("no input")?.write_all(figures.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "promtool check metrics: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// A program that ends with its value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

struct Gateway {
    _running: Running,
    address: String,
}

impl Gateway {
    fn start() -> Result<Self> {
        let folder = shell::root().join(PLACE).join("gateway");
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("polyport.yaml"), GATEWAY)?;
        let mut command = Command::new(shell::root().join("target/debug/polyport"));
        command.args(["serve", "--json", "--port", "0"]).current_dir(&folder).env_clear();
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = Running(command.spawn().context("cannot start the gateway")?);
        let mut line = String::new();
        BufReader::new(running.0.stdout.take().context("no output")?).read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line).context("the gateway did not start")?;
        let url = ready["url"].as_str().context("no address")?;
        let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Ok(Self { _running: running, address })
    }

    /// Requests that come to an end in different ways.
    fn ask(&self) -> Result<()> {
        for (model, stream, status) in
            [("fast", true, 200), ("fast", false, 200), ("echo", true, 200), ("down/m", false, 502)]
        {
            let body = format!(
                r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"One two three four"}}]}}"#
            );
            let (answered, _) = http(&self.address, "POST", "/v1/chat/completions", &body)?;
            // What rests after failures is left alone.
            ensure!(answered == status || status == 502 && answered >= 500, "{model}: {answered}");
        }
        Ok(())
    }

    fn get(&self, path: &str) -> Result<String> {
        let (status, body) = http(&self.address, "GET", path, "")?;
        ensure!(status == 200, "{path}: {status}");
        Ok(body)
    }
}

struct Prometheus {
    _running: Running,
    address: String,
}

impl Prometheus {
    /// Starts with the shipped configuration, which reads this gateway every second.
    fn start(gateway: &str) -> Result<Self> {
        let place = shell::root().join(PLACE);
        let data = place.join("data");
        fs::remove_dir_all(&data).ok();
        let rules = shell::root().join(SHIPPED).join("alerts.yml");
        let config = fs::read_to_string(Path::new(SHIPPED).join("prometheus.yml"))?;
        let changes = [
            ("_interval: 15s", "_interval: 1s".to_owned()),
            ("127.0.0.1:7659", gateway.to_owned()),
            ("- alerts.yml", format!("- {}", rules.display())),
        ];
        let config = changes.iter().try_fold(config, |config, (from, to)| {
            ensure!(config.contains(from), "prometheus.yml does not hold `{from}`");
            Ok(config.replace(from, to))
        })?;
        let file = place.join("prometheus.yml");
        fs::write(&file, config)?;
        // Another program may take the port in between; then it does not start.
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.to_string();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdout(Stdio::null())
            .stderr(fs::File::create(place.join("prometheus.log"))?);
        let running = Running(command.spawn().context("cannot start prometheus")?);
        let this = Self { _running: running, address };
        until("Prometheus is ready", || {
            Ok(http(&this.address, "GET", "/-/ready", "").is_ok_and(|(status, _)| status == 200))
        })?;
        Ok(this)
    }

    /// Waits until there are figures of a while, with requests in between: rates need two readings.
    fn wait_for_figures(&self, gateway: &Gateway) -> Result<()> {
        until("Prometheus reads the gateway", || {
            gateway.ask()?;
            let readings = self.query("count_over_time(polyport_build_info[1m])")?;
            Ok(readings.iter().any(|value| value.parse::<f64>().is_ok_and(|count| count >= 4.0)))
        })
    }

    /// Evaluates every query of every panel: none may fail, and each has an answer. Gives the number of queries and of figures in them.
    fn evaluate_panels(&self) -> Result<(usize, usize)> {
        let text = fs::read_to_string(Path::new(SHIPPED).join("dashboards/polyport.json"))?;
        let dashboard: Value = serde_json::from_str(&text)?;
        let figures = self.figures()?;
        let (mut count, mut named) = (0, BTreeSet::new());
        for panel in dashboard["panels"].as_array().context("no panels")? {
            let title = panel["title"].as_str().unwrap_or_default();
            for target in panel["targets"].as_array().into_iter().flatten() {
                let shown = target["expr"].as_str().with_context(|| format!("{title}: no query"))?;
                let expression =
                    VARIABLES.iter().fold(shown.to_owned(), |text, (name, value)| text.replace(name, value));
                ensure!(!expression.contains('$'), "{title}: a variable is not known: {expression}");
                let values = self.query(&expression).with_context(|| format!("{title}: {expression}"))?;
                let optional = MAY_BE_EMPTY.iter().any(|name| expression.contains(name));
                ensure!(optional || !values.is_empty(), "{title}: there are no data for {expression}");
                named.extend(names(&expression).filter(|name| figures.contains(*name)).map(str::to_owned));
                let unknown = names(&expression).find(|name| !figures.contains(*name) && !MAY_BE_EMPTY.contains(name));
                ensure!(unknown.is_none(), "{title}: there is no figure {}", unknown.unwrap_or_default());
                count += 1;
            }
        }
        for variable in dashboard["templating"]["list"].as_array().context("no variables")? {
            if let Some(query) = variable["definition"].as_str() {
                let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
                let (figure, label) = inner.and_then(|inner| inner.split_once(", ")).context("not of this form")?;
                let values = self.query(&format!("count by ({label}) ({figure})"))?;
                ensure!(!values.is_empty(), "the variable {label} has no values");
            }
        }
        Ok((count, named.len()))
    }

    /// Looks whether every alert could be evaluated.
    fn evaluate_alerts(&self) -> Result<usize> {
        let figures = self.figures()?;
        let mut alerts = 0;
        until("Prometheus evaluates the alerts", || {
            let rules = self.api("/api/v1/rules")?;
            let rules: Vec<&Value> = rules["groups"].as_array().context("no groups")?.iter().collect();
            let rules: Vec<&Value> =
                rules.iter().flat_map(|group| group["rules"].as_array().into_iter().flatten()).collect();
            ensure!(!rules.is_empty(), "there are no alerts");
            if rules.iter().any(|rule| rule["health"] == "unknown") {
                return Ok(false);
            }
            for rule in &rules {
                ensure!(rule["health"] == "ok", "{}: {}", rule["name"], rule["lastError"]);
                let expression = rule["query"].as_str().unwrap_or_default();
                let unknown = names(expression).find(|name| !figures.contains(*name));
                ensure!(unknown.is_none(), "{}: there is no figure {}", rule["name"], unknown.unwrap_or_default());
            }
            alerts = rules.len();
            Ok(true)
        })?;
        Ok(alerts)
    }

    /// Names of all series.
    fn figures(&self) -> Result<BTreeSet<String>> {
        let names = self.api("/api/v1/label/__name__/values")?;
        Ok(names.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// The values of a query now.
    fn query(&self, expression: &str) -> Result<Vec<String>> {
        let escaped: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let result = self.api(&format!("/api/v1/query?query={escaped}"))?;
        let series = result["result"].as_array().context("no result")?;
        Ok(series.iter().filter_map(|one| Some(one["value"].get(1)?.as_str()?.to_owned())).collect())
    }

    fn api(&self, path: &str) -> Result<Value> {
        let (status, body) = http(&self.address, "GET", path, "")?;
        let mut answer: Value = serde_json::from_str(&body).with_context(|| format!("{status}: {body}"))?;
        ensure!(answer["status"] == "success", "{}", answer["error"]);
        Ok(answer["data"].take())
    }
}

/// The figures that an expression names: words of ours, of the conventions and of the process.
fn names(expression: &str) -> impl Iterator<Item = &str> {
    // A label has a comparison after it, or stands in a list of labels.
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let labels = ["gen_ai_provider_name", "gen_ai_request_model", "gen_ai_token_type", "gen_ai_operation_name"];
    words
        .filter(|word| ["polyport_", "gen_ai_", "process_"].iter().any(|start| word.starts_with(start)))
        .filter(move |word| !labels.contains(word))
}

/// Waits until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !is_so()? {
        if began.elapsed() > PATIENCE {
            bail!("waited in vain: {what}");
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    Ok(())
}

/// One request on a connection of its own: status and body.
fn http(address: &str, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    // HTTP/1.0, so that no answer comes in chunks.
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).context("no status")?;
    Ok((status, body.to_owned()))
}
