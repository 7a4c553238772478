/** How an event looks to people: what happened, in few words. Whoever wants all of it has `--json`. */
import { type FamilyId, type KeyId, type Subject, shortId, shortKid, shortSubject } from '../src/domain/ids.ts';
import type { EpochMs } from '../src/domain/time.ts';
import { toRfc3339 } from '../src/domain/time.ts';
import type { EventView } from '../src/operations/views.ts';
import { type Line, paint, type Tone } from './paint.ts';
import type { Column } from './table.ts';

/** An event, and the name of its user where one is known. */
export interface EventRow extends EventView {
  readonly name: string | undefined;
}

type Data = EventView['data'];

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
const session = (data: Data): string => (typeof data.sid === 'string' ? shortId(data.sid as FamilyId) : '');

const toneOf = ({ type }: EventView): Tone | undefined =>
  type === 'token.reuse_detected' || type === 'key.compromised' || type === 'token.generation_ahead'
    ? 'alarm'
    : undefined;

/** Of whom: a user, else the client. */
const subjectText = ({ name, data }: EventRow): string =>
  name ?? (typeof data.subject === 'string' ? shortSubject(data.subject as Subject) : '');

/** Today's are told by the clock, others by their day as well. */
function timeText({ timestamp }: EventView, now: EpochMs): string {
  const isToday = timestamp.slice(0, 10) === toRfc3339(now).slice(0, 10);
  return timestamp.slice(isToday ? 11 : 5, 19).replace('T', ' ');
}

const key = (kid: unknown): string => (typeof kid === 'string' ? shortKid(kid as KeyId) : '');

/** What its type does not say yet. */
function detailText({ type, data }: EventView): string {
  const from = textOf(data.ip);
  const note = textOf(data.note);
  const parts: (string | undefined)[] = (() => {
    switch (type) {
      case 'token.reuse_detected':
        return [
          textOf(data.class),
          data.address_differs === true ? 'other address' : undefined,
          data.user_agent_differs === true ? 'other user agent' : undefined,
          from,
        ];
      case 'family.revoked':
        return [textOf(data.cause), note];
      case 'families.revoked':
        return [`${String(data.count)} by ${String(data.selector)}`, textOf(data.value), textOf(data.cause), note];
      case 'key.rotated':
        return [`${String(data.ring)} ring`, `${key(data.kid)} signs`];
      case 'key.compromised':
        return [`${String(data.ring)} ring`, key(data.kid)];
      case 'login.throttled':
        return [`by ${String(data.by)}`, from];
      case 'client.created':
        return [textOf(data.client_id), textOf(data.client_type)];
      case 'client.secret_rotated':
        return [textOf(data.client_id)];
      default:
        return [textOf(data.device), from];
    }
  })();
  return parts.filter((part) => part !== undefined && part !== '').join(', ');
}

/** @param now to tell today's events from others */
export const eventColumns = (now: EpochMs): readonly Column<EventRow>[] => [
  { title: 'TIME', value: ({ timestamp }) => timestamp, text: (row) => timeText(row, now) },
  { title: 'TYPE', value: ({ type }) => type, tone: toneOf },
  { title: 'SUBJECT', value: ({ data }) => textOf(data.subject) ?? null, text: subjectText },
  { title: 'SESSION', value: ({ data }) => textOf(data.sid) ?? null, text: ({ data }) => session(data) },
  { title: 'WHAT', value: ({ data }) => JSON.stringify(data), text: detailText },
  { title: 'ID', value: ({ id }) => id, text: ({ id }) => shortId(id) },
];

/** `09:14:07  token.reuse_detected  carol  019938c1..0b19e5  fork, other address` */
export function eventLine(row: EventRow, now: EpochMs): Line {
  const rest = [subjectText(row), session(row.data), detailText(row)].filter((text) => text !== '');
  return [`${timeText(row, now)}  `, paint(toneOf(row), row.type), rest.length === 0 ? '' : `  ${rest.join('  ')}`];
}
