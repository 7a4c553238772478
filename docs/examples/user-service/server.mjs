/**
 * A user service for auth-server, whole and small: Node alone, no package. It answers the two questions of
 * docs/user-service.md and, when a user is disabled, has auth-server end the user's sessions.
 *
 *   node server.mjs serve            answers on 127.0.0.1:PORT (8090)
 *   node server.mjs hash             reads a password on standard input, prints what users.json keeps of it
 *   node server.mjs disable NAME     the user cannot log in any more, and every session ends
 *
 * USERS_FILE (users.json), USER_SERVICE_SECRET (the same `whsec_…` as users.http.secret); for `disable` also
 * AUTH_SERVER_URL and AUTH_SERVER_ADMIN_SECRET, the secret of a client of type admin.
 */
import { createHmac, randomBytes, scryptSync, timingSafeEqual } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';

const { env } = process;
const usersFile = env.USERS_FILE ?? 'users.json';
const port = Number(env.PORT ?? 8090);

const BODY_LIMIT = 16_384;
/** Seconds that a question may be old: as long, a recorded one could be sent again, so their ids are remembered. */
const TOLERANCE = 300;

/** name → { sub, password, disabled?, claims? }. Read at each question, so that a change counts at once. */
const readUsers = () => new Map(Object.entries(JSON.parse(readFileSync(usersFile, 'utf8'))));

/** `salt:hash`, both base64. */
function hash(password, salt = randomBytes(16)) {
  return `${salt.toString('base64')}:${scryptSync(password, salt, 32).toString('base64')}`;
}

function matches(password, stored) {
  const salt = Buffer.from(stored.slice(0, stored.indexOf(':')), 'base64');
  return timingSafeEqual(Buffer.from(hash(password, salt)), Buffer.from(stored));
}

/** Compared when there is no such user, so that an unknown name takes as long as a wrong password. */
const NOBODY = hash(randomBytes(16));

const seen = new Map();

/** Standard Webhooks: HMAC-SHA-256 over `id.timestamp.body` with the bytes behind `whsec_`. */
function isGenuine(headers, body) {
  const id = headers['webhook-id'];
  const timestamp = headers['webhook-timestamp'];
  const signatures = headers['webhook-signature'];
  if (id === undefined || timestamp === undefined || signatures === undefined) return false;
  const now = Math.floor(Date.now() / 1000);
  if (!/^\d+$/.test(timestamp) || Math.abs(now - Number(timestamp)) > TOLERANCE) return false;
  const key = Buffer.from(env.USER_SERVICE_SECRET.replace(/^whsec_/, ''), 'base64');
  const expected = Buffer.from(`v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`);
  // Several while a secret is exchanged, with spaces between.
  const isSigned = signatures.split(' ').some((given) => {
    const signature = Buffer.from(given);
    return signature.length === expected.length && timingSafeEqual(signature, expected);
  });
  if (!isSigned || seen.has(id)) return false;
  for (const [old, at] of seen) if (now - at > 2 * TOLERANCE) seen.delete(old);
  seen.set(id, now);
  return true;
}

/** Each answers with a status and a body. */
const answers = {
  '/login': ({ username, password }) => {
    const user = readUsers().get(username.normalize('NFC').trim().toLowerCase());
    const isRight = matches(password, user?.password ?? NOBODY);
    if (user === undefined || !isRight || user.disabled === true) return [401, {}];
    return [200, { sub: user.sub, claims: user.claims ?? {} }];
  },
  '/status': ({ sub }) => {
    // A user who is gone is one who is no longer active; never answer 404 here.
    const user = [...readUsers().values()].find((one) => one.sub === sub);
    const active = user !== undefined && user.disabled !== true;
    return [200, active ? { active, claims: user.claims ?? {} } : { active }];
  },
};

async function readBody(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > BODY_LIMIT) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function answer(request) {
  const answerTo = Object.hasOwn(answers, request.url) ? answers[request.url] : undefined;
  if (answerTo === undefined || request.method !== 'POST') return [400, {}];
  const body = await readBody(request);
  // Not 401: that would say of the user what is true of the caller.
  if (body === undefined || !isGenuine(request.headers, body)) return [400, {}];
  return answerTo(JSON.parse(body));
}

async function respond(request, response) {
  const [status, body] = await answer(request).catch((error) => {
    console.error(error);
    return [500, {}];
  });
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
  response.end(JSON.stringify(body));
}

function serve() {
  if (!/^whsec_/.test(env.USER_SERVICE_SECRET ?? '')) throw new Error('USER_SERVICE_SECRET is not set');
  const server = createServer(respond);
  server.listen(port, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
}

/** First here, then there: a login between the two would otherwise begin a session that nobody ends. */
async function disable(name) {
  const users = readUsers();
  const user = users.get(name);
  if (user === undefined) throw new Error(`there is no user ${name}`);
  user.disabled = true;
  writeFileSync(usersFile, `${JSON.stringify(Object.fromEntries(users), null, 2)}\n`);
  const response = await fetch(`${env.AUTH_SERVER_URL}/admin/v1/global-token-revocation`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${env.AUTH_SERVER_ADMIN_SECRET}` },
    body: JSON.stringify({ sub_id: { format: 'opaque', id: user.sub } }),
  });
  if (response.status !== 204) throw new Error(`auth-server answered ${response.status}; repeat the command`);
  console.log(`${name} is disabled, and every session has ended`);
}

const [command, name] = process.argv.slice(2);
if (command === 'serve') serve();
else if (command === 'hash') console.log(hash(readFileSync(0, 'utf8').replace(/\r?\n$/, '')));
else if (command === 'disable' && name !== undefined) await disable(name);
else throw new Error('use: server.mjs serve | hash | disable NAME');
