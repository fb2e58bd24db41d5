//! Tools, their names and schemas, and which of them is used.

use polyport_protocol::profile::{SchemaClean, ToolChoiceMode};
use polyport_protocol::restore::ToolOrigin;
use polyport_types::{
    ClientProtocol, CustomFormat, CustomTool, Extras, FunctionTool, GrammarSyntax, LossAction, LossCode, McpServer,
    PartKind, Protocol, RawJson, ReasoningControl, ReasoningMode, Request, ServerTool, ServerToolKind, Text, Tool,
    ToolCallKind, ToolChoice, ToolRef,
};

use super::support::*;

fn asking(source: ClientProtocol, tools: Vec<Tool>) -> Request {
    Request { tools, ..request(source) }
}

fn names(request: &Request) -> Vec<String> {
    request.tools.iter().map(|tool| tool.name().to_string()).collect()
}

fn only(outcome: &Outcome) -> &FunctionTool {
    match &outcome.request.tools[..] {
        [Tool::Function(tool)] => tool,
        tools => panic!("{tools:?}"),
    }
}

fn named(name: &str) -> ToolChoice {
    ToolChoice::Tool(ToolRef { name: name.into(), custom: false })
}

fn server(kind: ServerToolKind, wire_type: &str) -> ServerTool {
    ServerTool {
        kind,
        name: wire_type.into(),
        wire_type: wire_type.into(),
        allowed_domains: Vec::new(),
        blocked_domains: Vec::new(),
        max_uses: None,
        user_location: None,
        context_size: None,
        mcp: None,
        cache: None,
        raw: RawJson::from_valid(Text::from_static("{}")),
    }
}

fn hosted(tool: ServerTool) -> Tool {
    Tool::Server(Box::new(tool))
}

#[test]
fn names_are_rewritten_everywhere_and_given_back() {
    let mut request = asking(ClientProtocol::Gemini, vec![plain_function("mcp.find"), plain_function("open")]);
    request.tool_choice = Some(named("mcp.find"));
    request.messages.push(assistant(vec![call("a", "mcp.find", "{}")]));
    request.messages.push(results(vec![result("a", "x")]));
    let outcome = run(&plain(Protocol::Chat), request);
    let given = names(&outcome.request)[0].clone();
    assert!(given.starts_with("mcp_find_"), "{given}");
    let PartKind::ToolCall(call) = &outcome.request.messages[1].parts[0].kind else { panic!() };
    assert_eq!(call.name, given.as_str());
    assert_eq!(outcome.request.tool_choice, Some(named(&given)));
    assert_eq!(outcome.restore.tools[given.as_str()].name, "mcp.find");
    assert!(!outcome.restore.tools.contains_key("open"));
    assert!(outcome.has(LossCode::ToolRenamed, LossAction::Renamed));
}

#[test]
fn a_tool_declared_twice_is_offered_once() {
    let twice = asking(ClientProtocol::Responses, vec![plain_function("find"), plain_function("find")]);
    for target in [Protocol::Chat, Protocol::Messages, Protocol::Gemini] {
        assert_eq!(names(&run(&plain(target), twice.clone()).request), ["find"]);
    }
    assert_eq!(run(&plain(Protocol::Responses), twice).request.tools.len(), 2, "its own client knows");
}

#[test]
fn namespaces_are_joined_for_those_who_have_none() {
    let tool = Tool::Function(Box::new(FunctionTool {
        name: "find".into(),
        namespace: Some("crm".into()),
        ..FunctionTool::default()
    }));
    let outcome = run(&plain(Protocol::Messages), asking(ClientProtocol::Responses, vec![tool.clone()]));
    assert_eq!(names(&outcome.request), ["crm__find"]);
    assert_eq!(
        outcome.restore.tools["crm__find"],
        ToolOrigin { name: "find".into(), namespace: Some("crm".into()), kind: ToolCallKind::Function }
    );
    assert!(!outcome.has(LossCode::ToolRenamed, LossAction::Renamed), "no loss: it comes back apart");
    let outcome = run(&plain(Protocol::Responses), asking(ClientProtocol::Responses, vec![tool]));
    assert_eq!(names(&outcome.request), ["find"]);
    assert!(outcome.restore.is_empty());
}

#[test]
fn free_form_tools_become_functions_with_one_string() {
    let tool = Tool::Custom(Box::new(CustomTool {
        name: "apply_patch".into(),
        namespace: None,
        description: Some("Edits files.".into()),
        format: CustomFormat::Grammar { syntax: GrammarSyntax::Lark, definition: "start: x".into() },
        ext: Extras::new(),
    }));
    let mut request = asking(ClientProtocol::Responses, vec![tool]);
    request.messages.push(assistant(vec![call_of("a", "apply_patch", "*** \"x\"", ToolCallKind::Custom)]));
    let mut answer = result("a", "done");
    if let PartKind::ToolResult(result) = &mut answer.kind {
        result.kind = ToolCallKind::Custom;
    }
    request.messages.push(results(vec![answer]));
    request.tool_choice = Some(ToolChoice::Tool(ToolRef { name: "apply_patch".into(), custom: true }));
    for target in
        [plain(Protocol::Messages), plain(Protocol::Gemini), quirky(Protocol::Chat, |p| p.custom_tools = false)]
    {
        let outcome = run(&target, request.clone());
        let tool = only(&outcome);
        assert_eq!(tool.schema.as_ref().unwrap().to_value()["required"], serde_json::json!(["input"]));
        assert!(tool.description.as_deref().unwrap().ends_with("Lark grammar:\nstart: x"));
        let PartKind::ToolCall(call) = &outcome.request.messages[1].parts[0].kind else { panic!() };
        assert_eq!((&*call.arguments, &call.kind), (r#"{"input":"*** \"x\""}"#, &ToolCallKind::Function));
        let PartKind::ToolResult(result) = &outcome.request.messages[2].parts[0].kind else { panic!() };
        assert_eq!(result.kind, ToolCallKind::Function);
        assert_eq!(outcome.restore.tools["apply_patch"].kind, ToolCallKind::Custom);
        assert_eq!(outcome.request.tool_choice, Some(named("apply_patch")));
        assert!(outcome.has(LossCode::ToolCustomEmulated, LossAction::Emulated));
    }
    let outcome = run(&plain(Protocol::Chat), request);
    assert!(matches!(&outcome.request.tools[..], [Tool::Custom(_)]), "Chat has them itself");
    assert!(outcome.restore.is_empty());
}

#[test]
fn tools_with_a_fixed_schema_are_offered_as_functions() {
    let cases = [
        (ServerToolKind::LocalShell, "local_shell", "command"),
        (ServerToolKind::Shell, "shell", "commands"),
        (ServerToolKind::ApplyPatch, "apply_patch", "diff"),
        (ServerToolKind::Computer, "computer_use_preview", "x"),
    ];
    for (kind, wire, member) in cases {
        let mut request = asking(ClientProtocol::Responses, vec![hosted(server(kind.clone(), wire))]);
        let item = if kind == ServerToolKind::Computer { "computer" } else { wire };
        let builtin = || ToolCallKind::Builtin(item.into());
        request.messages.push(assistant(vec![call_of("a", item, r#"{"x":1}"#, builtin())]));
        let mut answer = result("a", "done");
        if let PartKind::ToolResult(result) = &mut answer.kind {
            result.kind = builtin();
        }
        request.messages.push(results(vec![answer]));
        let outcome = run(&plain(Protocol::Messages), request);
        let tool = only(&outcome);
        assert_eq!(tool.name, item);
        assert!(tool.schema.as_ref().unwrap().to_value()["properties"].get(member).is_some(), "{item}");
        assert_eq!(outcome.restore.tools[item].kind, builtin());
        let PartKind::ToolCall(call) = &outcome.request.messages[1].parts[0].kind else { panic!() };
        assert_eq!((&call.kind, &*call.arguments), (&ToolCallKind::Function, r#"{"x":1}"#));
    }
    let bash = ServerTool { name: "bash".into(), ..server(ServerToolKind::Bash, "bash_20250124") };
    let outcome = run(&plain(Protocol::Chat), asking(ClientProtocol::Messages, vec![hosted(bash)]));
    assert_eq!(only(&outcome).name, "bash");
    assert!(outcome.restore.is_empty(), "calls of Messages look the same");
}

#[test]
fn a_tool_and_a_builtin_of_one_name_keep_apart() {
    let own = Tool::Custom(Box::new(CustomTool {
        name: "apply_patch".into(),
        namespace: None,
        description: None,
        format: CustomFormat::Text,
        ext: Extras::new(),
    }));
    let fixed = hosted(server(ServerToolKind::ApplyPatch, "apply_patch"));
    let builtin = || ToolCallKind::Builtin("apply_patch".into());
    for tools in [vec![own.clone(), fixed.clone()], vec![fixed, own]] {
        let mut request = asking(ClientProtocol::Responses, tools);
        request.messages.push(assistant(vec![
            call_of("a", "apply_patch", "patch", ToolCallKind::Custom),
            call_of("b", "apply_patch", r#"{"type":"delete_file","path":"x"}"#, builtin()),
        ]));
        request.messages.push(results(vec![result("a", "done"), result("b", "done")]));
        request.tool_choice = Some(ToolChoice::Tool(ToolRef { name: "apply_patch".into(), custom: true }));
        for target in [plain(Protocol::Chat), plain(Protocol::Messages), plain(Protocol::Gemini)] {
            let outcome = run(&target, request.clone());
            let given = names(&outcome.request);
            assert_ne!(given[0], given[1]);
            let kind_of = |name: &str| outcome.restore.tools.get(name).map(|origin| origin.kind.clone());
            let called: Vec<&Text> = outcome.request.messages[1]
                .parts
                .iter()
                .map(|part| if let PartKind::ToolCall(call) = &part.kind { &call.name } else { panic!() })
                .collect();
            assert_eq!(kind_of(called[1]), Some(builtin()));
            assert_ne!(kind_of(called[0]), Some(builtin()));
            let Some(ToolChoice::Tool(chosen)) = &outcome.request.tool_choice else { panic!() };
            assert_eq!(&chosen.name, called[0]);
            for name in called {
                let back = outcome.restore.tools.get(name).map_or("apply_patch", |origin| &origin.name);
                assert_eq!(back, "apply_patch");
            }
        }
    }
}

#[test]
fn tools_of_providers_are_kept_only_where_they_exist() {
    let search = || {
        hosted(ServerTool {
            allowed_domains: vec!["a.org".into()],
            blocked_domains: vec!["b.org".into()],
            max_uses: Some(3),
            ..server(ServerToolKind::WebSearch, "web_search_20260318")
        })
    };
    let files = || hosted(server(ServerToolKind::FileSearch, "file_search"));
    let outcome = run(&plain(Protocol::Responses), asking(ClientProtocol::Messages, vec![search()]));
    let [Tool::Server(tool)] = &outcome.request.tools[..] else { panic!() };
    assert!(tool.blocked_domains.is_empty() && tool.allowed_domains.len() == 1);
    assert_eq!(outcome.request.limits.max_server_tool_calls, Some(3));

    let outcome = run(&plain(Protocol::Gemini), asking(ClientProtocol::Messages, vec![search()]));
    let [Tool::Server(tool)] = &outcome.request.tools[..] else { panic!() };
    assert!(tool.allowed_domains.is_empty() && tool.blocked_domains.len() == 1);

    let mut request = asking(ClientProtocol::Responses, vec![files(), plain_function("f")]);
    let outcome = run(&plain(Protocol::Messages), request.clone());
    assert_eq!(names(&outcome.request), ["f"]);
    assert!(outcome.has(LossCode::ToolServerUnsupported, LossAction::Dropped));
    request.tool_choice = Some(ToolChoice::Server { kind: ServerToolKind::FileSearch, name: None });
    assert!(run(&plain(Protocol::Messages), request.clone()).refused(LossCode::ToolServerUnsupported));
    assert!(run(&plain(Protocol::Responses), request).losses.is_empty());

    // Before Gemini 3 nothing of the provider stands beside functions.
    let old = able(Protocol::Gemini, |abilities| abilities.validated_calls = false);
    let outcome = run(&old, asking(ClientProtocol::Messages, vec![search(), plain_function("f")]));
    assert_eq!(names(&outcome.request), ["f"]);
}

#[test]
fn remote_servers_are_called_only_as_the_client_wants_it() {
    let mcp = |approval: Option<&'static str>| {
        hosted(ServerTool {
            mcp: Some(Box::new(McpServer {
                label: "crm".into(),
                url: Some("https://crm.example/mcp".into()),
                authorization: Some("secret".into()),
                allowed_tools: Vec::new(),
                require_approval: approval.map(|word| RawJson::from_valid(Text::from_static(word))),
            })),
            ..server(ServerToolKind::Mcp, "mcp")
        })
    };
    let definition = |outcome: &Outcome| match &outcome.request.tools[..] {
        [Tool::Server(tool)] => tool.mcp.clone().unwrap(),
        tools => panic!("{tools:?}"),
    };
    // Responses asks unless told not to; nobody can be asked on Messages.
    for approval in [None, Some("\"always\"")] {
        let outcome = run(&plain(Protocol::Messages), asking(ClientProtocol::Responses, vec![mcp(approval)]));
        assert!(outcome.refused(LossCode::ToolServerUnsupported));
    }
    let outcome = run(&plain(Protocol::Messages), asking(ClientProtocol::Responses, vec![mcp(Some("\"never\""))]));
    assert_eq!(definition(&outcome).authorization, None, "secrets are not handed on by default");
    assert!(!outcome.losses.entries().iter().any(|loss| loss.detail.contains("secret")));
    let open = quirky(Protocol::Messages, |profile| profile.forward_mcp_authorization = true);
    let outcome = run(&open, asking(ClientProtocol::Responses, vec![mcp(Some("\"never\""))]));
    assert_eq!(definition(&outcome).authorization.as_deref(), Some("secret"));

    let outcome = run(&plain(Protocol::Responses), asking(ClientProtocol::Messages, vec![mcp(None)]));
    assert_eq!(definition(&outcome).require_approval.as_ref().map(RawJson::as_str), Some("\"never\""));
}

#[test]
fn schemas_fit_the_dialect_of_the_target() {
    let schema = r#"{"$schema":"x","type":"object","properties":{"a":{"const":1,"exclusiveMinimum":0}}}"#;
    let tool = |target| run(&target, asking(ClientProtocol::Chat, vec![function("f", schema)]));
    let outcome = tool(plain(Protocol::Gemini));
    let converted = only(&outcome).schema.as_ref().unwrap().to_value();
    assert_eq!(converted["properties"]["a"], serde_json::json!({"enum": [1], "description": "(exclusiveMinimum: 0)"}));
    assert!(outcome.has(LossCode::ToolSchemaRelaxed, LossAction::Degraded));
    for target in [Protocol::Chat, Protocol::Responses, Protocol::Messages] {
        assert_eq!(only(&tool(plain(target))).schema.as_ref().unwrap().as_str(), schema, "{target}");
    }
    let basic = tool(quirky(Protocol::Chat, |profile| profile.schema_clean = SchemaClean::Basic));
    assert!(only(&basic).schema.as_ref().unwrap().to_value().get("$schema").is_none());
    // The encoder writes the older form itself; what it loses is reported here.
    let older = tool(quirky(Protocol::Gemini, |profile| profile.json_schema_fields = false));
    assert!(older.has(LossCode::ToolSchemaRelaxed, LossAction::Degraded));

    let loose = asking(ClientProtocol::Chat, vec![function("f", r#"{"anyOf":[{"properties":{"a":{}}}]}"#)]);
    let converted = only(&run(&plain(Protocol::Messages), loose)).schema.as_ref().unwrap().to_value();
    assert_eq!((&converted["type"], converted.get("anyOf")), (&serde_json::json!("object"), None));
}

#[test]
fn strict_means_the_same_to_the_target() {
    const STRICT: &str =
        r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#;
    const LOOSE: &str = r#"{"type":"object","properties":{"a":{"type":"string"}}}"#;
    let strict = |source, schema: &str, strict, target: polyport_protocol::Target| {
        let mut tool = function("f", schema);
        if let Tool::Function(tool) = &mut tool {
            tool.strict = strict;
        }
        let outcome = run(&target, asking(source, vec![tool]));
        (only(&outcome).strict, outcome.has(LossCode::ToolStrictDropped, LossAction::Dropped))
    };
    use ClientProtocol::{Chat, Messages};
    let responses = || plain(Protocol::Responses);
    assert_eq!(strict(Chat, LOOSE, None, responses()), (Some(false), false), "absent would switch it on");
    assert_eq!(strict(Chat, LOOSE, Some(true), responses()), (Some(true), false), "the same dialect");
    assert_eq!(strict(Messages, LOOSE, Some(true), responses()), (Some(false), true));
    assert_eq!(strict(Messages, STRICT, Some(true), responses()), (Some(true), false));
    assert_eq!(strict(Chat, STRICT, Some(true), plain(Protocol::Messages)), (Some(true), false));
    assert_eq!(strict(Chat, LOOSE, Some(true), plain(Protocol::Messages)), (None, true));
    assert_eq!(strict(Chat, STRICT, Some(true), plain(Protocol::Gemini)), (None, true));
    let plain_server = quirky(Protocol::Chat, |profile| profile.strict_tools = false);
    assert_eq!(strict(Messages, STRICT, Some(true), plain_server), (None, true));
}

#[test]
fn a_choice_is_expressed_as_the_target_can() {
    let choose = |target: &polyport_protocol::Target, choice| {
        let mut request = asking(ClientProtocol::Responses, vec![plain_function("a"), plain_function("b")]);
        request.tool_choice = Some(choice);
        run(target, request)
    };
    let allowed = |required| ToolChoice::Allowed { required, tools: vec![ToolRef { name: "b".into(), custom: false }] };

    let outcome = choose(&plain(Protocol::Messages), allowed(true));
    assert_eq!(
        (names(&outcome.request), &outcome.request.tool_choice),
        (vec!["b".to_owned()], &Some(ToolChoice::Required))
    );
    assert!(outcome.has(LossCode::ToolChoiceFiltered, LossAction::Dropped));
    let outcome = choose(&plain(Protocol::Messages), allowed(false));
    assert_eq!(outcome.request.tool_choice, Some(ToolChoice::Auto));
    assert_eq!(choose(&plain(Protocol::Gemini), allowed(true)).request.tool_choice, Some(allowed(true)));
    assert_eq!(choose(&plain(Protocol::Chat), allowed(true)).request.tool_choice, Some(allowed(true)));

    // Servers that know less.
    let words = |modes: &[ToolChoiceMode]| quirky(Protocol::Chat, |profile| profile.tool_choice = modes.to_vec());
    use ToolChoiceMode::{Auto, None as NoTool, Required};
    let outcome = choose(&words(&[Auto, NoTool, Required]), named("b"));
    assert_eq!(
        (names(&outcome.request), &outcome.request.tool_choice),
        (vec!["b".to_owned()], &Some(ToolChoice::Required))
    );
    let outcome = choose(&words(&[Auto, NoTool]), ToolChoice::Required);
    assert_eq!(outcome.request.tool_choice, Some(ToolChoice::Auto));
    assert!(outcome.has(LossCode::ToolChoiceDegraded, LossAction::Degraded));
    assert_eq!(outcome.request.instructions.len(), 1, "it is asked for in words");
    let outcome = choose(&words(&[Auto]), ToolChoice::None);
    assert!(outcome.request.tools.is_empty() && outcome.request.tool_choice.is_none());

    // Models that cannot be forced.
    let free = able(Protocol::Messages, |abilities| abilities.forced_tool_choice = false);
    let outcome = choose(&free, named("b"));
    assert_eq!(outcome.request.tool_choice, Some(ToolChoice::Auto));
    assert!(outcome.has(LossCode::ToolChoiceDegraded, LossAction::Degraded));

    // A choice of something that is not there, or of nothing.
    assert_eq!(choose(&plain(Protocol::Messages), named("zzz")).request.tool_choice, Some(ToolChoice::Auto));
    let mut request = asking(ClientProtocol::Chat, Vec::new());
    (request.tool_choice, request.parallel_tool_calls) = (Some(ToolChoice::Auto), Some(false));
    let outcome = run(&plain(Protocol::Responses), request);
    assert_eq!((outcome.request.tool_choice, outcome.request.parallel_tool_calls), (None, None));
    assert!(outcome.losses.is_empty());
}

#[test]
fn nothing_is_forced_while_a_budget_model_thinks() {
    let mut request = asking(ClientProtocol::Messages, vec![plain_function("a")]);
    request.limits.max_output_tokens = Some(4000);
    request.reasoning =
        Some(ReasoningControl { mode: ReasoningMode::On, budget_tokens: Some(2000), ..ReasoningControl::default() });
    request.tool_choice = Some(ToolChoice::Required);
    let outcome = run(&plain(Protocol::Messages), request);
    assert_eq!(outcome.request.tool_choice, Some(ToolChoice::Auto));
    assert!(outcome.has(LossCode::ToolChoiceDegraded, LossAction::Degraded));
}

#[test]
fn validated_calls_become_strict_tools() {
    const STRICT: &str =
        r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#;
    let mut request = asking(ClientProtocol::Gemini, vec![function("a", STRICT), plain_function("b")]);
    request.tool_choice = Some(ToolChoice::Validated { names: Vec::new() });
    for target in [Protocol::Chat, Protocol::Responses, Protocol::Messages] {
        let outcome = run(&plain(target), request.clone());
        assert_eq!(outcome.request.tool_choice, Some(ToolChoice::Auto));
        let strict: Vec<_> = outcome
            .request
            .tools
            .iter()
            .map(|tool| if let Tool::Function(tool) = tool { tool.strict == Some(true) } else { false })
            .collect();
        assert_eq!(strict, [true, false], "{target}");
    }
    let outcome = run(&plain(Protocol::Gemini), request.clone());
    assert_eq!(outcome.request.tool_choice, request.tool_choice);
}

#[test]
fn a_model_without_tools_refuses_them() {
    let target = able(Protocol::Chat, |abilities| abilities.tools = false);
    let mut request = asking(ClientProtocol::Messages, vec![plain_function("a")]);
    assert!(run(&target, request.clone()).refused(LossCode::ToolUnsupported));
    request.tool_choice = Some(ToolChoice::None);
    let outcome = run(&target, request);
    assert!(outcome.losses.is_empty() && outcome.request.tools.is_empty());
}
