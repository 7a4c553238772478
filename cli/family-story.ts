/** The story of a session as people read it: each generation, when, from where, and what ended it; whole, or beside a list. */
import type { EpochMs } from '../src/domain/time.ts';
import { parseRfc3339 } from '../src/domain/time.ts';
import type { FamilyStory } from '../src/operations/families.ts';
import type { EventView, TimelineView } from '../src/operations/views.ts';
import { deviceText } from './agent.ts';
import { type FamilyRow, subjectText, toneOfFamily } from './family-text.ts';
import { type Line, type Piece, paint } from './paint.ts';
import { relativeAndExact, roughly } from './when.ts';

/** The newest rotations are shown each, and every one that came from somewhere else. */
const NEWEST = 3;

export interface StoryOptions {
  /** Shows every rotation. */
  readonly isWhole: boolean;
  /** How to see every rotation: a flag, a key. */
  readonly all: string;
}

/** Head, state, reason, then generations; a run of like rotations is one line, unless `isWhole`. */
export function storyLines(row: FamilyRow, story: FamilyStory, now: EpochMs, options: StoryOptions): readonly Line[] {
  const device = deviceText(row.device, row.user_agent);
  const who = [subjectText(row), `client ${row.client_id}`, ...(device === '' ? [] : [device])].join(', ');
  return [
    `Session  ${row.sid}   ${who}`,
    stateLine(row, story.detected, now),
    ...(story.note === null ? [] : [`Reason   ${story.note}`]),
    ...timelineLines(story, options),
    ...(story.detected?.type === 'token.reuse_detected'
      ? [`Two holders. next: auth-server families list --subject ${row.name ?? row.subject}`]
      : []),
  ];
}

function stateLine(row: FamilyRow, detected: EventView | null, now: EpochMs): readonly Piece[] {
  if (row.state === 'revoked') {
    const kind = typeof detected?.data.class === 'string' ? ` (${detected.data.class})` : '';
    const text = `REVOKED by ${row.revoke_reason}${kind}`;
    return ['State    ', paint(toneOfFamily(row), text), `, ${relativeAndExact(row.revoked_at, now)}`];
  }
  const ends = relativeAndExact(row.expires_at, now);
  return [
    'State    ',
    paint(toneOfFamily(row), row.state),
    row.state === 'live' ? `, its token ends ${ends}` : `, ${ends}`,
  ];
}

interface Step {
  readonly entry: TimelineView;
  readonly before: TimelineView | undefined;
}

function timelineLines({ timeline, detected }: FamilyStory, { isWhole, all }: StoryOptions): readonly Line[] {
  const steps = timeline.map((entry, index): Step => ({ entry, before: timeline[index - 1] }));
  const lines: Line[] = [aligned(['', 'GEN', 'WHEN (UTC)', 'AFTER', 'FROM', 'WHAT'])];
  for (let index = 0; index < steps.length; ) {
    const quiet = isWhole ? 0 : quietRun(steps, index);
    const step = steps[index];
    if (step === undefined) break;
    // One line saved by one line would be nothing saved.
    if (quiet < 2) lines.push(stepLine(step));
    else lines.push(aligned(['', '', `${quiet} rotations`, '', step.entry.ip ?? '', `(${all} shows each)`]));
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

function changesOf({ entry, before }: Step): readonly string[] {
  if (before === undefined) return [];
  return [
    ...(entry.ip === before.ip ? [] : ['new address']),
    ...(entry.user_agent === before.user_agent ? [] : ['new user agent']),
  ];
}

function stepLine(step: Step): Line {
  const { entry, before } = step;
  const changes = changesOf(step);
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

/** The same beside a list: the newest rotations first, as many as there is room for. @param rows of the screen */
export function storyBeside(row: FamilyRow, story: FamilyStory, now: EpochMs, rows: number): readonly Line[] {
  const { timeline, detected, note } = story;
  const steps = timeline.map((entry, index): Step => ({ entry, before: timeline[index - 1] }));
  const device = deviceText(row.device, row.user_agent);
  return [
    `${subjectText(row)} ${row.sid}`,
    stateLine(row, detected, now).slice(1),
    `client ${row.client_id}${device === '' ? '' : `, ${device}`}`,
    ...(note === null ? [] : [`reason: ${note}`]),
    '',
    ...(detected === null ? [] : [besideLine(detected.timestamp, detected)]),
    ...steps.toReversed().map((step) => besideLine(step.entry.issued_at, step)),
  ].slice(0, rows);
}

function besideLine(time: string, about: Step | EventView): Line {
  const at = clock(time);
  if ('type' in about) {
    const ip = typeof about.data.ip === 'string' ? about.data.ip : '';
    const what = about.type === 'token.generation_ahead' ? 'AHEAD: ended' : 'REUSE: ended';
    return [
      paint('alarm', `!${String(about.data.presented_generation ?? '').padStart(4)}  ${at}  ${ip.padEnd(15)}  ${what}`),
    ];
  }
  const { generation, ip } = about.entry;
  const what = generation === 0 ? 'login' : changesOf(about).join(', ');
  return ` ${String(generation).padStart(4)}  ${at}  ${(ip ?? '').padEnd(15)}  ${what}`.trimEnd();
}
