//! The official SDKs and command-line clients against the gateway.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::shell;

/// Where downloaded packages live; a change of the pins makes a new folder.
const PYTHON: &str = "target/e2e/python";
const NODE: &str = "target/e2e/node";

/// Builds the programs the tests start.
fn build() -> Result<()> {
    shell::run(
        "cargo",
        &["build", "--locked", "--quiet", "--package", "polyport", "--package", "polyport-testkit", "--bins"],
    )
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
        let folder = format!("{PYTHON}/{name}");
        let python = shell::root().join(&folder).join("bin/python");
        let pins = std::fs::read(Path::new(tests).join(requirements))?;
        let stamp = Path::new(&folder).join("installed.txt");
        if std::fs::read(&stamp).ok().as_deref() != Some(&pins) {
            shell::run("python3", &["-m", "venv", "--clear", &folder])?;
            let requirements = format!("{tests}/{requirements}");
            shell::run_command(Command::new(&python).args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "-r",
                &requirements,
            ]))?;
            std::fs::write(stamp, &pins)?;
        }
        let mut pytest = command(&python.to_string_lossy())?;
        pytest.current_dir(tests).env("PYTHONDONTWRITEBYTECODE", "1");
        shell::run_command(pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).args(only))?;
    }
    Ok(())
}

/// OpenAI, Anthropic and Google SDKs for Node and the AI SDK.
pub(crate) fn node() -> Result<()> {
    node_tests("node", &["sdk.test.mjs", "ai-sdk.test.mjs"])
}

/// Claude Code, Codex and gemini-cli.
pub(crate) fn clients() -> Result<()> {
    node_tests("clients", &["clients.test.mjs"])
}

/// Runs `node --test` over a copy of `tests/e2e/<folder>` beside its installed packages.
fn node_tests(folder: &str, files: &[&str]) -> Result<()> {
    build()?;
    let place = format!("{NODE}/{folder}");
    std::fs::create_dir_all(&place)?;
    for source in ["tests/e2e/node/gateway.mjs".into(), format!("tests/e2e/{folder}")] {
        shell::run("cp", &["-r", &if Path::new(&source).is_dir() { format!("{source}/.") } else { source }, &place])?;
    }
    let lock = std::fs::read(Path::new(&place).join("package-lock.json"))?;
    let stamp = Path::new(&place).join("node_modules/.installed");
    if std::fs::read(&stamp).ok().as_deref() != Some(&lock) {
        shell::run_command(Command::new("npm").current_dir(&place).args(["ci", "--silent"]))?;
        std::fs::write(stamp, &lock)?;
    }
    shell::run_command(command("node")?.current_dir(&place).arg("--test").args(files))
}
