import type { EditorProps } from '../../widgets/Opened';
import { RuledEditor } from '../../widgets/rules/RuledEditor';
import { draft, saveTeam, type Team } from './team';

const REFRESHES = ['/admin/api/teams', '/admin/api/users', '/admin/api/keys', '/admin/api/quotas'];

/** Makes a team, or changes one. */
export function TeamEditor(props: EditorProps<Team>) {
  const { of } = props;
  return <RuledEditor {...props} words="teams" initial={draft(of)} save={(draft, revision) => saveTeam(draft, of, revision)} refreshes={REFRESHES} />;
}
