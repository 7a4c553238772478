/** How a session looks to people: a row of a list, or its story. It stands apart because several commands show sessions. */

import type { App } from '../src/app.ts';
import { shortId, shortSubject } from '../src/domain/ids.ts';
import type { EpochMs } from '../src/domain/time.ts';
import { parseRfc3339 } from '../src/domain/time.ts';
import type { FamilyStory } from '../src/operations/families.ts';
import type { EventView, FamilyView, TimelineView } from '../src/operations/views.ts';
import { deviceText } from './agent.ts';
import { timeColumn } from './output.ts';
import { type Line, paint, type Tone } from './paint.ts';
import type { Column } from './table.ts';
import { relative, relativeAndExact, roughly } from './when.ts';

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

const toneOf = ({ state, revoke_reason }: FamilyView): Tone | undefined => {
  if (state === 'live') return undefined;
  return revoke_reason === 'reuse' ? 'alarm' : 'dim';
};

/** `live`, `expired`, or why it was ended; the one that somebody must look at is in capitals. */
const stateText = ({ state, revoke_reason }: FamilyView): string => {
  if (state !== 'revoked') return state;
  return revoke_reason === 'reuse' ? 'REUSE' : (revoke_reason ?? 'revoked');
};

const subjectText = ({ name, subject }: FamilyRow): string => name ?? shortSubject(subject);

export const familyColumns = (now: EpochMs): readonly Column<FamilyRow>[] => [
  { title: 'SESSION', value: (row) => row.sid, text: (row) => shortId(row.sid) },
  { title: 'SUBJECT', value: (row) => row.subject, text: subjectText },
  { title: 'STATE', value: (row) => row.revoke_reason ?? row.state, text: stateText, tone: toneOf },
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

/** The newest rotations are shown each, and every one that came from somewhere else. */
const NEWEST = 3;

/** @param isWhole shows every rotation */
export function storyLines(row: FamilyRow, story: FamilyStory, now: EpochMs, isWhole: boolean): readonly Line[] {
  const device = deviceText(row.device, row.user_agent);
  const who = [subjectText(row), `client ${row.client_id}`, ...(device === '' ? [] : [device])].join(', ');
  return [
    `Session  ${row.sid}   ${who}`,
    stateLine(row, story.detected, now),
    ...(story.note === null ? [] : [`Reason   ${story.note}`]),
    ...timelineLines(story, isWhole),
    ...(story.detected?.type === 'token.reuse_detected'
      ? [`Two holders. next: auth-server families list --subject ${row.name ?? row.subject}`]
      : []),
  ];
}

function stateLine(row: FamilyRow, detected: EventView | null, now: EpochMs): Line {
  if (row.state === 'revoked') {
    const kind = typeof detected?.data.class === 'string' ? ` (${detected.data.class})` : '';
    const text = `REVOKED by ${row.revoke_reason}${kind}`;
    return ['State    ', paint(toneOf(row), text), `, ${relativeAndExact(row.revoked_at, now)}`];
  }
  const ends = relativeAndExact(row.expires_at, now);
  return ['State    ', paint(toneOf(row), row.state), row.state === 'live' ? `, its token ends ${ends}` : `, ${ends}`];
}

interface Step {
  readonly entry: TimelineView;
  readonly before: TimelineView | undefined;
}

function timelineLines({ timeline, detected }: FamilyStory, isWhole: boolean): readonly Line[] {
  const steps = timeline.map((entry, index): Step => ({ entry, before: timeline[index - 1] }));
  const lines: Line[] = [aligned(['', 'GEN', 'WHEN (UTC)', 'AFTER', 'FROM', 'WHAT'])];
  for (let index = 0; index < steps.length; ) {
    const quiet = isWhole ? 0 : quietRun(steps, index);
    const step = steps[index];
    if (step === undefined) break;
    // One line saved by one line would be nothing saved.
    if (quiet < 2) lines.push(stepLine(step));
    else lines.push(aligned(['', '', `${quiet} rotations`, '', step.entry.ip ?? '', '(--all shows each)']));
    index += Math.max(1, quiet < 2 ? 1 : quiet);
  }
  if (steps.length === 0) lines.push('     no generation is left in the history: it was purged');
  if (detected !== null) lines.push(detectedLine(detected, timeline.at(-1)));
  return lines;
}

/** How many rotations from here on are like the one before them, none of the newest, nor the one before a change. */
function quietRun(steps: readonly Step[], start: number): number {
  let length = 0;
  for (let index = start; index < steps.length - NEWEST; index += 1) {
    const [step, next] = [steps[index], steps[index + 1]];
    if (step === undefined || step.before === undefined || isMoved(step) || (next !== undefined && isMoved(next)))
      break;
    length += 1;
  }
  return length;
}

const isMoved = ({ entry, before }: Step): boolean =>
  before !== undefined && (entry.ip !== before.ip || entry.user_agent !== before.user_agent);

function stepLine(step: Step): Line {
  const { entry, before } = step;
  const changes = [
    ...(before !== undefined && entry.ip !== before.ip ? ['new address'] : []),
    ...(before !== undefined && entry.user_agent !== before.user_agent ? ['new user agent'] : []),
  ];
  const what = [entry.generation === 0 ? 'login' : 'rotation', ...changes].join(', ');
  return aligned([
    '',
    String(entry.generation),
    clock(entry.issued_at),
    distance(before?.issued_at, entry.issued_at),
    entry.ip ?? '',
    what,
  ]);
}

function detectedLine({ type, timestamp, data }: EventView, last: TimelineView | undefined): Line {
  const presented = String(data.presented_generation ?? '');
  const ip = typeof data.ip === 'string' ? data.ip : '';
  const what =
    type === 'token.generation_ahead'
      ? 'AHEAD of this database, which was restored; ended'
      : data.class === 'fork'
        ? 'REUSE: another token of this generation is the current one; ended'
        : `REUSE: ${Number(data.presented_generation) + 1} had been issued; ended`;
  const text = aligned(['!', presented, clock(timestamp), distance(last?.issued_at, timestamp), ip, what]);
  return [paint('alarm', text)];
}

/** `11-23 09:14:07` */
const clock = (time: string): string => time.slice(5, 19).replace('T', ' ');

function distance(from: string | undefined, to: string): string {
  const [start, end] = [from === undefined ? undefined : parseRfc3339(from), parseRfc3339(to)];
  return start === undefined || end === undefined ? '' : roughly(Math.max(0, end - start));
}

type Cells = readonly [mark: string, gen: string, when: string, after: string, from: string, what: string];

const aligned = ([mark, gen, when, after, from, what]: Cells): string =>
  `${mark.padEnd(1)} ${gen.padStart(4)}  ${when.padEnd(14)}  ${after.padStart(5)}  ${from.padEnd(15)}  ${what}`;
