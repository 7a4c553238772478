/**
 * N20: genuine tokens and bodies with bytes changed, left out, doubled and moved, by the thousand: whatever arrives, the
 * server answers in the contract's words, grants nothing, and the sessions whose tokens these were go on.
 */
import { expect, test } from 'vitest';
import { refreshRequest, type Session, sessionOf } from '../../scripts/fire/load.ts';
import { type Chance, makeChance } from '../../scripts/fire/random.ts';
import { type Answer, openWire, post, type Wire } from '../../scripts/fire/wire.ts';
import { type Ground, makeGround, SEED, TIMES, tell } from './ground.ts';
import { seedSessions } from './load-ground.ts';

/** 20,000 in the form that is ten times as long. */
const MUTATIONS = Math.ceil(2_000 * TIMES);
const WIRES = 8;

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const ODD = ['.', '=', '+', '/', ' ', '\t', '\n', '\0', '"', '\\', '{', '}', ',', ':', 'é', '\u{1f600}', '%2e'];

/** One to three changes; never the text itself. */
function mutated(text: string, chance: Chance): string {
  let changed = text;
  for (let left = 1 + chance.below(3); left > 0 || changed === text; left -= 1) {
    const at = chance.below(changed.length + 1);
    const length = 1 + chance.below(chance.below(4) === 0 ? 64 : 3);
    const part = changed.slice(at, at + length);
    const letter = chance.below(3) === 0 ? ODD[chance.below(ODD.length)] : LETTERS[chance.below(LETTERS.length)];
    const instead = [letter, '', part + part, part.toUpperCase(), [...part].reverse().join('')][chance.below(5)] ?? '';
    changed = changed.slice(0, at) + instead + changed.slice(at + length);
  }
  return changed;
}

/** Bytes instead of letters, so that no UTF-8 comes out now and then. */
function mutatedBytes(text: string, chance: Chance): Buffer {
  const bytes = Buffer.from(mutated(text, chance));
  if (bytes.length > 0 && chance.below(3) === 0) bytes[chance.below(bytes.length)] = chance.below(256);
  return bytes;
}

/** Not by way of `post`, which would make text of it. Latin-1 is what the wire writes bytes as. */
const rawPost = (path: string, body: Buffer, headers: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n${headers}Content-Length: ${body.length}\r\n\r\n`;

/** Of no meaning: half of the changes leave the token as it is. */
const PADDING = { ignored: [{ a: 1, b: 'x'.repeat(300) }, null, 'y'.repeat(300)] };

type Trial = (ground: Ground, session: Session, chance: Chance) => { request: string | Buffer; expected: string[] };

const form = (path: string, fields: Record<string, string>, authorization: string): string => {
  const body = new URLSearchParams(fields).toString();
  return `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: ${authorization}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
};

/** Each with what may be answered, as `status error reason`; U+0000 makes a body no text. */
const TRIALS: Readonly<Record<string, Trial>> = {
  'an access token at /verify': ({ api }, { accessToken }, chance) => ({
    request: post('/verify', { token: mutated(accessToken, chance) }, { Authorization: api }),
    expected: ['200 inactive malformed', '400 invalid_request'],
  }),
  'a refresh token at /verify': ({ api }, { refreshToken }, chance) => ({
    request: post('/verify', { token: mutated(refreshToken, chance) }, { Authorization: api }),
    expected: ['200 inactive malformed', '400 invalid_request'],
  }),
  'a refresh token at /refresh': (_ground, session, chance) => ({
    request: refreshRequest({ ...session, refreshToken: mutated(session.refreshToken, chance) }),
    expected: ['401 invalid_grant malformed', '400 invalid_request'],
  }),
  'an access token at /refresh': (_ground, session, chance) => ({
    request: refreshRequest({ ...session, accessToken: mutated(session.accessToken, chance) }),
    expected: ['401 invalid_grant mismatch', '400 invalid_request'],
  }),
  'a refresh token at /logout': (_ground, { refreshToken }, chance) => ({
    request: post('/logout', { refresh_token: mutated(refreshToken, chance) }),
    expected: ['400 invalid_request'],
  }),
  'a refresh token at /sessions': (_ground, { refreshToken }, chance) => ({
    request: post('/sessions', { refresh_token: mutated(refreshToken, chance) }),
    expected: ['400 invalid_request'],
  }),
  'an access token at /oauth/introspect': ({ api }, { accessToken }, chance) => ({
    request: form('/oauth/introspect', { token: mutated(accessToken, chance) }, api),
    expected: ['200 inactive', '400 invalid_request'],
  }),
  'a body at /verify': ({ api }, { accessToken }, chance) => {
    const body = mutatedBytes(JSON.stringify({ ...PADDING, token: accessToken, audience: 'api' }), chance);
    const head = rawPost('/verify', body, `Authorization: ${api}\r\n`);
    const isWhole = memberOf(body, 'token') === accessToken;
    const ways = ['200 inactive malformed', '200 inactive wrong_audience', '400 invalid_request'];
    return { request: Buffer.concat([Buffer.from(head), body]), expected: isWhole ? [...ways, '200 active'] : ways };
  },
  'a body at /sessions': (_ground, { refreshToken }, chance) => {
    const body = mutatedBytes(JSON.stringify({ ...PADDING, refresh_token: refreshToken }), chance);
    const isWhole = memberOf(body, 'refresh_token') === refreshToken;
    const expected = ['400 invalid_request', ...(isWhole ? ['200'] : [])];
    return { request: Buffer.concat([Buffer.from(rawPost('/sessions', body, '')), body]), expected };
  },
};

/** As any reader of JSON understands it. */
function memberOf(body: Buffer, name: string): unknown {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
  } catch {
    return undefined;
  }
}

function spoken({ status, text }: Answer): string {
  const body: { error?: string; reason?: string; active?: boolean } = JSON.parse(text);
  const state = body.active === undefined ? body.error : body.active ? 'active' : 'inactive';
  return [status, state, body.reason].filter((part) => part !== undefined).join(' ');
}

test.each(['sqlite', 'postgres'] as const)(
  `N20: on %s, ${MUTATIONS} mutated tokens and bodies are refused in words, and change nothing`,
  async (kind) => {
    const ground = await makeGround(kind);
    const sessions = await seedSessions(ground, 50);
    const served = await ground.start();
    const chance = makeChance(SEED);
    const names = Object.keys(TRIALS);
    const before = await ground.query('select * from token_families order by id');
    const answers: Record<string, number> = {};
    let left = MUTATIONS;
    async function run(wire: Wire): Promise<void> {
      while (left > 0) {
        const name = names[left % names.length] ?? '';
        const session = sessions[left % sessions.length];
        left -= 1;
        if (session === undefined) throw new Error('there are sessions');
        const trial = TRIALS[name]?.(ground, session, chance);
        if (trial === undefined) throw new Error('there is a trial of each name');
        const answer = spoken(await wire.send(trial.request));
        if (!trial.expected.includes(answer))
          throw new Error(`${name}: ${answer} to ${JSON.stringify(trial.request.toString())}`);
        answers[answer] = (answers[answer] ?? 0) + 1;
      }
    }
    const wires = Array.from({ length: WIRES }, () => openWire(served.port));
    await Promise.all(wires.map(run));
    for (const wire of wires) wire.close();
    tell(`${kind}, seed ${SEED}: ${MUTATIONS} mutations, answered ${JSON.stringify(answers)}`);
    expect(await ground.query('select * from token_families order by id')).toEqual(before);
    expect(served.said()).not.toContain('unforeseen');
    // And what was mutated is still good.
    for (const session of sessions.slice(0, 5)) {
      const answer = await served.send(refreshRequest(session));
      expect(answer.status).toBe(200);
      expect(sessionOf(answer.text)).toMatchObject({ family: session.family, generation: 1 });
    }
  },
);
