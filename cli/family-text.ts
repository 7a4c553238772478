/** How a session looks to people in a list, and in few words. It stands apart because several commands show sessions. */
import type { App } from '../src/app.ts';
import { shortId, shortSubject } from '../src/domain/ids.ts';
import type { EpochMs } from '../src/domain/time.ts';
import { parseRfc3339 } from '../src/domain/time.ts';
import type { FamilyView } from '../src/operations/views.ts';
import { deviceText } from './agent.ts';
import { timeColumn } from './output.ts';
import type { Tone } from './paint.ts';
import type { Column } from './table.ts';
import { relative } from './when.ts';

/** A family, and the name of its user where one is known. */
export interface FamilyRow extends FamilyView {
  readonly name: string | undefined;
}

/** For whoever goes by the subject. */
export const nameless = (family: FamilyView): FamilyRow => ({ ...family, name: undefined });

/** Names are for people: whatever reads a pipe goes by the subject. */
export async function withNames(app: App, families: readonly FamilyView[]): Promise<readonly FamilyRow[]> {
  const { namesOf } = await import('../src/operations/families.ts');
  const names = await namesOf(
    app,
    families.map(({ subject }) => subject),
  );
  return families.map((family) => ({ ...family, name: names.get(family.subject) }));
}

/** Only the end that somebody must look at is marked. */
export const toneOfFamily = ({ state, revoke_reason }: FamilyView): Tone | undefined => {
  if (state === 'live') return undefined;
  return revoke_reason === 'reuse' ? 'alarm' : 'dim';
};

/** `live`, `expired`, or why it was ended; the one that somebody must look at is in capitals. */
const stateText = ({ state, revoke_reason }: FamilyView): string => {
  if (state !== 'revoked') return state;
  return revoke_reason === 'reuse' ? 'REUSE' : (revoke_reason ?? 'revoked');
};

/** The name of the user where one is known. */
export const subjectText = ({ name, subject }: FamilyRow): string => name ?? shortSubject(subject);

/** @param now for times that people read */
export const familyColumns = (now: EpochMs): readonly Column<FamilyRow>[] => [
  { title: 'SESSION', value: (row) => row.sid, text: (row) => shortId(row.sid) },
  { title: 'SUBJECT', value: (row) => row.subject, text: subjectText },
  { title: 'STATE', value: (row) => row.revoke_reason ?? row.state, text: stateText, tone: toneOfFamily },
  { title: 'GEN', value: (row) => row.generation, right: true },
  timeColumn('USED', now, (row) => row.last_refreshed_at),
  { title: 'FROM', value: (row) => row.ip },
  {
    title: 'DEVICE',
    value: (row) => row.device ?? row.user_agent,
    text: (row) => deviceText(row.device, row.user_agent),
  },
  { title: 'CLIENT', value: (row) => row.client_id },
  timeColumn('ENDS', now, (row) => row.revoked_at ?? row.expires_at),
];

/** `01993b2e..c4d1f7 of alice, Firefox/Linux, used 3m ago` */
export function familyInWords(row: FamilyRow, now: EpochMs): string {
  const device = deviceText(row.device, row.user_agent);
  const used = parseRfc3339(row.last_refreshed_at);
  const when = used === undefined ? [] : [`used ${relative(used, now)}`];
  return [`${shortId(row.sid)} of ${subjectText(row)}`, ...(device === '' ? [] : [device]), ...when].join(', ');
}
