//! What is shipped beside the program: image, compose files, chart, units, recipe, install script, workflows. Tools that cannot be had are
//! named and left out; what no tool here can try (an engine for images, a cluster, other systems) is said in the guide.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{e2e, shell};

/// Where this step works.
const PLACE: &str = "target/delivery";

/// Checks everything that is shipped.
pub(crate) fn run() -> Result<()> {
    fs::create_dir_all(PLACE)?;
    dockerfile(&fs::read_to_string("Dockerfile")?, &fs::read_to_string(".dockerignore")?)?;
    for file in fs::read_dir(".github/workflows")? {
        let path = file?.path();
        workflow(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())?;
    }
    e2e::build()?;
    match e2e::environment("delivery", "deploy/check/requirements.txt") {
        Ok(python) => linted(&python)?,
        Err(error) => left_out("hadolint, shellcheck, yamllint and the chart's check", &error),
    }
    units()?;
    install_script()?;
    e2e::pm2()
}

fn left_out(what: &str, why: &anyhow::Error) {
    println!("left out, for it cannot be had here: {what} ({why:#})");
}

/// What is true of the image, whatever a general linter thinks.
fn dockerfile(text: &str, ignored: &str) -> Result<()> {
    let text = text.replace("\\\n", " ");
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.starts_with('#')).collect();
    let of = |word: &str| lines.iter().filter_map(|line| line.strip_prefix(word)).collect::<Vec<&str>>();
    for base in of("FROM ") {
        let image = base.split_whitespace().next().unwrap_or_default();
        let tag = image.split_once(':').map(|(_, tag)| tag);
        let pinned = tag.is_some_and(|tag| tag.matches('.').count() >= 2);
        ensure!(image == "scratch" || pinned, "Dockerfile: {image} moves by itself: name all of its version");
    }
    ensure!(of("USER ").last() == Some(&"65532:65532"), "Dockerfile: the image must run as 65532");
    ensure!(of("ADD ").is_empty(), "Dockerfile: COPY says what is copied, ADD fetches and unpacks");
    ensure!(of("HEALTHCHECK ").len() == 1, "Dockerfile: one HEALTHCHECK");
    ensure!(of("VOLUME ") == ["[\"/data\"]"], "Dockerfile: /data is the only place that is written");
    ensure!(
        of("ENTRYPOINT ").iter().all(|line| line.starts_with('[')),
        "Dockerfile: signals reach a program, not a shell"
    );
    ensure!(
        of("RUN ").iter().any(|line| line.contains("cargo build --release --locked")),
        "Dockerfile: build with --locked"
    );
    for label in ["title", "description", "licenses", "version", "revision", "source"] {
        ensure!(
            text.contains(&format!("org.opencontainers.image.{label}=")),
            "Dockerfile: the label {label} is missing"
        );
    }
    ensure!(ignored.lines().any(|line| line == "*"), ".dockerignore: only what is named goes into the build");
    Ok(())
}

/// Actions are pinned, rights are few, what is built is what is locked.
fn workflow(text: &str) -> Result<()> {
    ensure!(text.contains("\npermissions:"), "say which rights it has");
    ensure!(!text.contains("pull_request_target"), "pull_request_target gives strangers the rights of the repository");
    ensure!(text.matches("timeout-minutes:").count() >= text.matches("runs-on:").count(), "every job has a time limit");
    let checkouts = text.matches("uses: actions/checkout@").count();
    ensure!(text.matches("persist-credentials: false").count() == checkouts, "a checkout keeps no credentials");
    let unseen = text.split("github.event_name == 'release'").next().unwrap_or_default();
    let candidates = unseen.split("pattern=").skip(1).all(|tag| tag.starts_with("candidate-"));
    ensure!(candidates, "an image has the tags of its version only when somebody has published the release");
    let mut run = false;
    for line in text.lines() {
        let indented = line.trim_start().trim_start_matches("- ");
        if let Some(action) = indented.strip_prefix("uses: ") {
            let commit =
                action.split_once('@').and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or_default();
            let pinned = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            ensure!(
                pinned && action.contains(" # v"),
                "{action} is not pinned to a commit, with its version behind it"
            );
        }
        if indented.contains("cargo build") || indented.contains("cargo install") {
            ensure!(indented.contains("--locked"), "without --locked something else may be built: {indented}");
        }
        // What others wrote (titles, names of branches) must not become part of a script.
        run = (run && line.starts_with("          ")) || indented.starts_with("run:");
        ensure!(!run || !line.contains("${{"), "give it to the script as a variable: {indented}");
    }
    Ok(())
}

/// What needs tools from Python's registry.
fn linted(python: &Path) -> Result<()> {
    let tool = |name: &str| python.with_file_name(name);
    if let Err(error) = shell::run(&tool("hadolint").to_string_lossy(), &["Dockerfile"]) {
        bail!("hadolint: {error:#}");
    }
    shell::run(&tool("shellcheck").to_string_lossy(), &["--shell", "sh", "install.sh"])?;
    let mut yamllint =
        vec!["-s", "-c", "deploy/check/yamllint.yaml", "docker-compose.yml", "docker-compose.cluster.yml"];
    yamllint.extend([".github", "deploy/helm/polyport/values.yaml", "deploy/helm/polyport/Chart.yaml"]);
    shell::run(&tool("yamllint").to_string_lossy(), &yamllint)?;
    let python = python.to_string_lossy();
    shell::run(&python, &["deploy/check/compose.py"])?;
    if shell::exists("docker-compose") {
        for file in ["docker-compose.yml", "docker-compose.cluster.yml"] {
            let mut config = Command::new("docker-compose");
            config.args(["-f", file, "config", "--quiet"]);
            config.env("POLYPORT_API_KEY", "of-the-check").env("POSTGRES_PASSWORD", "of-the-check");
            shell::run_command(&mut config)?;
        }
    }
    match renderer() {
        Ok(renderer) => shell::run(&python, &["deploy/check/chart.py", &renderer.to_string_lossy()])?,
        Err(error) => left_out("the templates of the chart", &error),
    }
    if shell::exists("helm") {
        shell::run("helm", &["lint", "--strict", "deploy/helm/polyport", "--set", "existingSecret=keys"])?;
    }
    Ok(())
}

/// A program that renders the chart's templates: Helm itself cannot be had from Debian, what it is made of can.
fn renderer() -> Result<PathBuf> {
    const SPRIG: &str = "/usr/share/gocode/src/github.com/Masterminds/sprig";
    if !shell::exists("go") || !Path::new(SPRIG).is_dir() {
        const PACKAGES: &str = "golang-go golang-github-masterminds-sprig-dev";
        ensure!(shell::may_install(), "install it with: apt-get install {PACKAGES}");
        shell::install(PACKAGES)?;
    }
    let program = shell::root().join(PLACE).join("render");
    let source = "deploy/check/render/main.go";
    let age = |path: &Path| fs::metadata(path).and_then(|about| about.modified()).ok();
    if age(&program) < age(Path::new(source)) {
        let mut build = Command::new("go");
        build.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOFLAGS", "");
        build.env("GOCACHE", shell::root().join(PLACE).join("go"));
        shell::run_command(build.arg("build").arg("-o").arg(&program).arg(source))?;
    }
    Ok(program)
}

/// The units, with this build in the place of the installed program.
fn units() -> Result<()> {
    if !shell::exists("systemd-analyze") {
        let installed = if shell::may_install() {
            shell::install("systemd")
        } else {
            Err(anyhow::anyhow!("apt-get install systemd"))
        };
        if let Err(error) = installed {
            left_out("systemd-analyze", &error);
            return Ok(());
        }
    }
    let program = shell::root().join("target/debug/polyport").display().to_string();
    let mut files = Vec::new();
    for name in ["polyport.service", "polyport.socket"] {
        let text = fs::read_to_string(format!("deploy/systemd/{name}"))?;
        let file = format!("{PLACE}/{name}");
        fs::write(&file, text.replace("/usr/local/bin/polyport", &program))?;
        files.push(file);
    }
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&files).output()?;
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("polyport")).collect();
    ensure!(verified.status.success() && ours.is_empty(), "systemd-analyze verify:\n{said}");
    let mut exposure = Command::new("systemd-analyze");
    // In tenths: what is open to the network and may start threads cannot be much below 1.
    exposure.args(["security", "--offline=true", "--no-pager", "--threshold=15", &files[0]]);
    let exposure = exposure.stderr(Stdio::inherit()).output()?;
    let told = String::from_utf8_lossy(&exposure.stdout).into_owned();
    ensure!(exposure.status.success(), "the service is more exposed than it has to be:\n{told}");
    println!("{}", told.lines().rfind(|line| line.contains("exposure")).unwrap_or_default());
    Ok(())
}

/// Installed twice, used, removed: nothing is left.
fn install_script() -> Result<()> {
    let prefix = shell::root().join(PLACE).join("prefix").display().to_string();
    if Path::new(&prefix).exists() {
        fs::remove_dir_all(&prefix)?;
    }
    let script = |args: &[&str]| -> Result<String> {
        let output = Command::new("sh").arg("install.sh").args(["--prefix", &prefix]).args(args).output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "install.sh: {said}{}", String::from_utf8_lossy(&output.stderr));
        Ok(said)
    };
    for _ in 0..2 {
        let said = script(&["--binary", "target/debug/polyport"])?;
        ensure!(said.contains(&format!("is in {prefix}/bin/polyport")), "{said}");
    }
    let expected = [
        "bin/polyport",
        "share/man/man1/polyport.1",
        "share/bash-completion/completions/polyport",
        "share/zsh/site-functions/_polyport",
    ];
    for file in expected {
        ensure!(Path::new(&prefix).join(file).is_file(), "install.sh: {file} is missing");
    }
    shell::run(&format!("{prefix}/bin/polyport"), &["--version"])?;
    script(&["--uninstall"])?;
    let left = Command::new("find").args([&prefix, "-type", "f"]).output()?;
    ensure!(left.stdout.is_empty(), "install.sh --uninstall leaves:\n{}", String::from_utf8_lossy(&left.stdout));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a22_workflows_that_build_something_else_or_with_too_many_rights_are_refused() {
        let good = fs::read_to_string(shell::root().join(".github/workflows/release.yml")).unwrap();
        workflow(&good).unwrap();
        for (part, worse, words) in [
            ("permissions: {}", "", "which rights"),
            ("@11bd71901bbe5b1630ceea73d27597364c9af683", "@v4", "not pinned"),
            ("cargo build --release --locked", "cargo build --release", "--locked"),
            ("persist-credentials: false", "fetch-depth: 0", "credentials"),
            ("    timeout-minutes: 90\n", "", "time limit"),
            ("pattern=candidate-{{version}}", "pattern={{version}}", "published"),
            ("--version\n", "--version ${{ github.event.head_commit.message }}\n", "as a variable"),
        ] {
            assert!(good.contains(part), "{part}");
            let error = workflow(&good.replace(part, worse)).unwrap_err().to_string();
            assert!(error.contains(words), "{part}: {error}");
        }
    }

    #[test]
    fn images_that_move_or_run_as_root_are_refused() {
        let read = |name: &str| fs::read_to_string(shell::root().join(name)).unwrap();
        let (good, ignored) = (read("Dockerfile"), read(".dockerignore"));
        dockerfile(&good, &ignored).unwrap();
        for (part, worse, words) in [
            ("rust:1.95.0-alpine3.22", "rust:latest", "moves by itself"),
            ("USER 65532:65532", "", "65532"),
            ("ENTRYPOINT [\"/polyport\"]", "ENTRYPOINT /polyport", "signals"),
            ("--locked", "", "--locked"),
        ] {
            let error = dockerfile(&good.replace(part, worse), &ignored).unwrap_err().to_string();
            assert!(error.contains(words), "{part}: {error}");
        }
    }
}
