/** What the gateway says about client programs, which it says in English, by the same with its gaps: addresses, keys and names of models. */
export const CHINESE: Record<string, string> = {
  'It takes plain http from this machine only: elsewhere the gateway must be reached by https.': '它只对本机接受 http：在其他机器上必须通过 https 访问网关。',
  'Ask with `llm -m polyport/MODEL "…"`. What `launch` would have to set is in files only: use `connect llm --write` once.':
    '使用 `llm -m polyport/MODEL "…"` 提问。它的设置只在文件中，`launch` 无法设置：请先运行一次 `connect llm --write`。',
  'It keeps its key in the keychain of the system, not in this file: give it to `goose configure`, or set OPENAI_API_KEY.':
    '它把密钥保存在系统钥匙串而不是此文件中：请在 `goose configure` 中输入，或设置 OPENAI_API_KEY。',
  'Choose the model of `Polyport` in its list of models.': '在它的模型列表中选择 `Polyport` 的模型。',
  'It takes the key from the variable POLYPORT_API_KEY, or from its settings of language models; there it is kept in the keychain.':
    '它从变量 POLYPORT_API_KEY 或其语言模型设置中读取密钥；在设置中输入时保存在钥匙串里。',
  '`max_tokens` is what it takes for the size of the context: change it to that of the model.': '它把 `max_tokens` 当作上下文大小：请改为所用模型的大小。',
  "In Cline's settings choose the API provider `OpenAI Compatible`.": '在 Cline 的设置中，将 API Provider 选为 `OpenAI Compatible`。',
  'Base URL: {url}/v1': 'Base URL：{url}/v1',
  'API key: {key}': 'API 密钥：{key}',
  'Model ID: {model}': '模型 ID：{model}',
  'In the settings of Roo Code, under Providers, choose `OpenAI Compatible`.': '在 Roo Code 设置的 Providers 中选择 `OpenAI Compatible`。',
  'Model: {model}': '模型：{model}',
  'In the settings of Kilo Code, under Providers, choose `OpenAI Compatible`.': '在 Kilo Code 设置的 Providers 中选择 `OpenAI Compatible`。',
  "In Cursor's settings, under Models, open the API keys and switch on `Override OpenAI Base URL`.":
    '在 Cursor 设置的 Models 中展开 API Keys，并打开 `Override OpenAI Base URL`。',
  'OpenAI API key: {key}': 'OpenAI API 密钥：{key}',
  'Add the model {model} to the list.': '将模型 {model} 加入列表。',
  'Requests come from the servers of its maker: the gateway must be reached from the internet, by https.':
    '请求由其厂商的服务器发出：网关必须能从互联网通过 https 访问。',
  'Start it with these variables. What was once changed in its admin page counts more: then set the connection there (Admin Settings, Connections).':
    '使用这些变量启动。如果曾在它的管理页面中修改过，则以那里为准：请在其中设置连接（Admin Settings，Connections）。',
  'In a container `localhost` is the container itself: use an address that is reached from there, such as host.docker.internal.':
    '在容器中 `localhost` 指容器自身：请使用容器内可访问的地址，例如 host.docker.internal。',
  'The file `librechat.yaml` stands in the folder of its installation; it is read at the start.': '文件 `librechat.yaml` 位于其安装目录中，启动时读取。',
  'This comes from its documentation and was not tried with the program itself.': '以上内容来自其文档，尚未用该程序实际试过。',
};

const GAP = /\{(\w+)\}/;

/** A note in the language of the reader, where there is one; what stands in its gaps stays. */
export function noteIn(language: string, note: string): string {
  if (!language.startsWith('zh')) return note;
  for (const [english, chinese] of Object.entries(CHINESE)) {
    const [before = '', name, after = ''] = english.split(GAP);
    if (name === undefined) {
      if (note === english) return chinese;
    } else if (note.length >= before.length + after.length && note.startsWith(before) && note.endsWith(after)) {
      return chinese.replace(`{${name}}`, () => note.slice(before.length, note.length - after.length));
    }
  }
  return note;
}
