import { api, ifMatch, type Schemas } from '../../api/client';
import { bodyOf, changed, draftOf, NO_RULES, type RulesDraft } from '../../widgets/rules/rules';

export type Team = Schemas['Team'];

export interface TeamDraft extends RulesDraft {
  name: string;
}

export function draft(team?: Team): TeamDraft {
  return { ...(team ? draftOf(team) : NO_RULES), name: team?.name ?? '' };
}

const body = (draft: TeamDraft) => ({ ...bodyOf(draft), name: draft.name.trim() });

/** Makes a team, or changes the members of one that are not as they were. */
export async function saveTeam(next: TeamDraft, team: Team | undefined, revision: number | null | undefined): Promise<Team> {
  if (!team) return (await api.POST('/admin/api/teams', { body: body(next) })).data as Team;
  return (
    await api.PATCH('/admin/api/teams/{id}', {
      params: { path: { id: team.id } },
      body: changed(body(draft(team)), body(next)),
      headers: ifMatch(revision),
    })
  ).data as Team;
}
