import { api, ifMatch, type Schemas } from '../../api/client';
import { bodyOf, changed, draftOf, NO_RULES, type RulesDraft } from '../../widgets/rules/rules';

export type User = Schemas['User'];
export type UserRole = Schemas['Role'];

export interface UserDraft extends RulesDraft {
  name: string;
  role: UserRole;
  team: string | null;
  teamName: string | null;
}

export function draft(user?: User): UserDraft {
  return {
    ...(user ? draftOf(user) : NO_RULES),
    name: user?.name ?? '',
    role: user?.role ?? 'member',
    team: user?.team?.id ?? null,
    teamName: user?.team?.name ?? null,
  };
}

function body(draft: UserDraft, all: boolean) {
  // Managers decide neither roles nor teams; what they may not say is left out.
  const placed = all ? { role: draft.role, team: draft.team } : {};
  return { ...bodyOf(draft), name: draft.name.trim(), ...placed };
}

/** Makes a user, or changes the members of one that are not as they were. `all`: role and team as well. */
export async function saveUser(next: UserDraft, user: User | undefined, revision: number | null | undefined, all: boolean): Promise<User> {
  if (!user) {
    const { team, ...rest } = body(next, all) as ReturnType<typeof body> & { team?: string | null };
    return (await api.POST('/admin/api/users', { body: team ? { ...rest, team } : rest })).data as User;
  }
  return (
    await api.PATCH('/admin/api/users/{id}', {
      params: { path: { id: user.id } },
      body: changed(body(draft(user), all), body(next, all)),
      headers: ifMatch(revision),
    })
  ).data as User;
}
