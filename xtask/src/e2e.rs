//! The official SDKs and command-line clients against the gateway.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::shell;

/// Where downloaded packages live; a change of the pins makes a new folder.
const PYTHON: &str = "target/e2e/python";
const NODE: &str = "target/e2e/node";

/// Builds the programs the tests start, beside all tests: with those alone crates would be built once more, with fewer features.
pub(crate) fn build() -> Result<()> {
    shell::run("cargo", &["build", "--locked", "--quiet", "--workspace", "--bins", "--tests"])
}

/// A command that knows where the programs are.
fn command(program: &str) -> Result<Command> {
    let root = shell::root();
    let mut command = Command::new(program);
    command
        .env("POLYPORT_BIN", root.join("target/debug/polyport"))
        .env("POLYPORT_FAKE", root.join("target/debug/polyport-fake"));
    Ok(command)
}

/// OpenAI, Anthropic and Google SDKs for Python, Anthropic's of the version before, then LangChain, each in an environment of its
/// own because their pins differ.
pub(crate) fn python() -> Result<()> {
    build()?;
    let tests = "tests/e2e/python";
    for (name, requirements, only) in [
        ("sdk", "requirements.txt", ["--ignore", "test_langchain.py"].as_slice()),
        ("anthropic-1", "requirements-anthropic-1.txt", ["test_anthropic.py"].as_slice()),
        ("langchain", "requirements-langchain.txt", ["test_langchain.py"].as_slice()),
    ] {
        let python = environment(name, &format!("{tests}/{requirements}"))?;
        let mut pytest = command(&python.to_string_lossy())?;
        pytest.current_dir(tests).env("PYTHONDONTWRITEBYTECODE", "1");
        shell::run_command(pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).args(only))?;
    }
    Ok(())
}

/// The Python of an environment that holds these packages.
pub(crate) fn environment(name: &str, requirements: &str) -> Result<PathBuf> {
    let folder = format!("{PYTHON}/{name}");
    let python = shell::root().join(&folder).join("bin/python");
    let pins = std::fs::read(requirements)?;
    let stamp = Path::new(&folder).join("installed.txt");
    if std::fs::read(&stamp).ok().as_deref() != Some(&pins) {
        shell::run("python3", &["-m", "venv", "--clear", &folder])?;
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]);
        shell::run_command(&mut pip)?;
        std::fs::write(stamp, &pins)?;
    }
    Ok(python)
}

/// The admin API against its OpenAPI document.
pub(crate) fn openapi() -> Result<()> {
    build()?;
    let tests = "tests/e2e/openapi";
    let python = environment("openapi", &format!("{tests}/requirements.txt"))?;
    shell::run_command(command(&python.to_string_lossy())?.arg(format!("{tests}/run.py")))
}

/// OpenAI, Anthropic and Google SDKs for Node and the AI SDK.
pub(crate) fn node() -> Result<()> {
    node_tests("node", &["sdk.test.mjs", "ai-sdk.test.mjs"])
}

/// Claude Code, Codex and gemini-cli.
pub(crate) fn clients() -> Result<()> {
    node_tests("clients", &["clients.test.mjs", "launch.test.mjs"])
}

/// The admin page in a browser, every screen of it.
pub(crate) fn pages() -> Result<()> {
    build()?;
    let place = "tests/e2e/pages";
    install(place, &["ci"])?;
    shell::run_command(Command::new("node").current_dir(place).arg("run.mjs"))
}

/// The recipe for PM2.
pub(crate) fn pm2() -> Result<()> {
    let place = copied("pm2", &["ecosystem.config.cjs".into()])?;
    if let Err(error) = install(&place, &["ci"]) {
        println!("left out, for it cannot be had here: PM2 ({error:#})");
        return Ok(());
    }
    shell::run_command(command("node")?.current_dir(&place).args(["--test", "pm2.test.mjs"]))
}

/// llama.cpp itself with a model of random weights. Where it cannot be installed, nothing is tested, and that is said.
pub(crate) fn llama() -> Result<()> {
    build()?;
    let place = copied("llama", &["examples/llama-server.mjs".into()])?;
    // Only the build for this processor: those for graphics cards are ten times as large.
    let installed = install(&place, &["install", "--no-save", "--omit=optional", "--ignore-scripts"])
        .and_then(|()| tiny_model(&place));
    let model = match installed {
        Ok(model) => model,
        Err(error) => {
            println!("llama.cpp cannot be installed here ({error:#}): skipped");
            return Ok(());
        }
    };
    shell::run_command(command("node")?.current_dir(&place).env("TINY_MODEL", model).args(["--test", "llama.test.mjs"]))
}

/// Makes the model, with the package `gguf` in an environment of its own.
fn tiny_model(place: &str) -> Result<PathBuf> {
    let model = shell::root().join(place).join("tiny.gguf");
    let python = shell::root().join(place).join("python/bin/python");
    if !python.is_file() {
        shell::run("python3", &["-m", "venv", "--clear", &format!("{place}/python")])?;
    }
    let requirements = format!("{place}/requirements.txt");
    let mut pip = Command::new(&python);
    shell::run_command(pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
        &requirements,
    ]))?;
    shell::run_command(Command::new(&python).arg(format!("{place}/tiny.py")).arg(&model))?;
    Ok(model)
}

/// Runs `node --test` over a copy of `tests/e2e/<folder>` beside its installed packages.
fn node_tests(folder: &str, files: &[&str]) -> Result<()> {
    build()?;
    let place = copied(folder, &[])?;
    install(&place, &["ci"])?;
    shell::run_command(command("node")?.current_dir(&place).arg("--test").args(files))
}

/// Copies `tests/e2e/<folder>`, what its tests share and `more` to where packages are installed.
fn copied(folder: &str, more: &[String]) -> Result<String> {
    let place = format!("{NODE}/{folder}");
    std::fs::create_dir_all(&place)?;
    let own = ["tests/e2e/node/gateway.mjs".to_owned(), format!("tests/e2e/{folder}")];
    for source in own.iter().chain(more) {
        let source = if Path::new(source).is_dir() { format!("{source}/.") } else { source.clone() };
        shell::run("cp", &["-r", &source, &place])?;
    }
    Ok(place)
}

/// Installs the packages, if the lock has changed since.
pub(crate) fn install(place: &str, command: &[&str]) -> Result<()> {
    let lock = std::fs::read(Path::new(place).join("package-lock.json"))?;
    let stamp = Path::new(place).join("node_modules/.installed");
    if std::fs::read(&stamp).ok().as_deref() != Some(&lock) {
        shell::run_command(Command::new("npm").current_dir(place).args(command).arg("--silent"))?;
        std::fs::write(stamp, &lock)?;
    }
    Ok(())
}
