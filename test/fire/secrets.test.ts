/**
 * No secret leaves by the side door (security I29): secrets that are recognised are planted everywhere, every endpoint and
 * every command is driven, through failures too, and then everything that was said, sent, stored or shown is searched.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { allNodes, commandTree } from '../../cli/command-tree.ts';
import { makeProgram as commandLine } from '../../cli/program.ts';
import { allRows } from '../support/all-rows.ts';
import { type DatabaseKind, makeDatabase } from '../support/databases.ts';
import { makeProgram } from '../support/executable.ts';
import { freePort } from '../support/free-port.ts';
import { document } from '../support/openapi.ts';
import { says, startStubUserService } from '../support/stub-user-service.ts';
import { until } from '../support/until.ts';
import { openWebhookReceiver } from '../support/webhook-receiver.ts';
import { encodings, MARKED, Places } from './marked.ts';
import { driveCommands, driveEndpoints, driveFaults, driveOutage } from './secrets-drive.ts';
import { addClient, ask, configure, type Ground, run, type Sent, secretOf, start } from './secrets-ground.ts';

/** Nothing to see without a terminal, or nothing that a database has. */
const NOT_DRIVEN = ['tui', 'simulate', 'completion'];

async function urlOf(kind: DatabaseKind, folder: string): Promise<string> {
  if (kind === 'sqlite') return `sqlite:${path.join(folder, 'auth.db')}`;
  const url = new URL(await makeDatabase('postgres'));
  url.password = MARKED.databasePassword;
  return url.href;
}

test('a secret is found in each of its spellings, and a token wherever it stands', () => {
  const spelled = Object.values(MARKED).flatMap(encodings);
  for (const text of [...spelled, 'eyJhbGciOiJFUzI1NiIsImtpZCI6']) {
    const places = new Places();
    places.look('a log', `before ${text} after`);
    expect(() => places.expectNone(), text).toThrow('in a log');
  }
});

describe.each<DatabaseKind>(['sqlite', 'postgres'])('every secret (%s)', (kind) => {
  test('is seen nowhere but where it is granted (I29)', async () => {
    const { folder } = await makeProgram('sqlite');
    const ground: Ground = {
      folder,
      url: await urlOf(kind, folder),
      places: new Places(),
      commands: new Set(),
      operations: new Set(),
    };
    const { places } = ground;
    const hook = await openWebhookReceiver();
    // A receiver that says back what it was told, as proxies in development do.
    hook.behave(({ headers, body }, response) => response.writeHead(500).end(JSON.stringify({ headers, body })));
    const service = await startStubUserService();
    const metrics = await freePort();
    const webhook = { url: hook.url, secret: [MARKED.webhookSecret, { env: 'WEBHOOK_SECRET' }] };
    const events = { webhooks: [webhook], brokers: [{ url: `amqp://who:${MARKED.brokerPassword}@127.0.0.1:1` }] };
    const http = {
      url: `${service.origin}/login`,
      statusUrl: `${service.origin}/status`,
      secret: { file: 'service.secret' },
    };
    configure(ground, 'auth.config.json', { events, users: { http }, metrics: { listen: `127.0.0.1:${metrics}` } });
    configure(ground, 'http.json', { users: { directory: 'http', http } });

    expect((await run(ground, ['migrate', 'up'])).code).toBe(0);
    const listens = (text: string) => text.includes('"listening"');
    const urlIn = (text: string) => /"url":"(http[^"]+)"/.exec(text)?.[1] ?? '';
    let serving = await start(ground, ['serve', '--port', '0'], listens);
    const added = await run(ground, ['users', 'add', 'alice', '--password-stdin'], `${MARKED.password}\n`);
    expect(added.code, added.stderr).toBe(0);
    const secrets = {
      api: await addClient(ground, 'api', '--type', 'resource-server'),
      app: await addClient(ground, 'app', '--type', 'app'),
      ops: await addClient(ground, 'ops', '--type', 'admin'),
    };
    const old = await addClient(ground, 'old', '--type', 'resource-server');
    const rotated = await run(ground, ['clients', 'rotate-secret', 'old', '--json'], '', secretOf);
    expect(rotated.code, rotated.stderr).toBe(0);
    places.addSecret('the new secret of old', secretOf(rotated.stdout)[0] ?? '');
    expect(old).not.toBe(secretOf(rotated.stdout)[0]);

    const base = urlIn(serving.stderr());
    await driveEndpoints(ground, base, secrets);
    const working = await start(ground, ['worker'], (text) => text.includes('"working"'));
    await until(() => hook.received.length > 0 && /not delivered/.test(working.stderr()), 'events were sent in vain');
    await until(() => /"receiver":"amqp|amqp.*not delivered/.test(working.stderr()), 'the broker was tried');
    const tailing = await start(ground, ['events', 'tail'], () => true);
    ground.commands.add('events tail');

    const { body: pair } = await ask(ground, base, 'POST /login', {
      body: { username: 'alice', password: MARKED.password },
    });
    for (const token of [pair.access_token, pair.refresh_token]) {
      for (const more of [[], ['--json']])
        expect((await run(ground, ['token', 'inspect', ...more], token)).code).toBe(0);
    }
    await driveOutage(ground, kind, async () => {
      const status = async (to: string, sent: Sent) => (await ask(ground, base, `POST ${to}`, sent)).status;
      expect(await status('/refresh', { body: pair })).toBe(503);
      expect(await status('/login', { body: { username: 'alice', password: MARKED.password } })).toBe(503);
      await run(ground, ['users', 'list']);
      await run(ground, ['doctor', '--json']);
    });
    const shown = await fetch(`http://127.0.0.1:${metrics}/metrics`);
    expect(shown.status).toBe(200);
    places.look('the metrics', await shown.text());
    await driveCommands(ground, pair.session_id ?? '', kind);
    await driveFaults(ground);
    for (const one of [tailing, working, serving]) await one.end();

    // The same database with a user service, which fails as it likes, saying back what it was sent.
    serving = await start(ground, ['serve', '--port', '0', '--config', 'http.json'], listens);
    const beside = urlIn(serving.stderr());
    const login = { username: 'carol', password: MARKED.servicePassword };
    service.behave((response, question) => says(500, question.text)(response, question, undefined as never));
    expect((await ask(ground, beside, 'POST /login', { body: login })).status).toBe(503);
    service.behave((response, question) =>
      says(200, { sub: question.body.password })(response, question, undefined as never),
    );
    await ask(ground, beside, 'POST /login', { body: { ...login, password: `${login.password} that is no sub` } });
    service.behave(says(200, { sub: 'carol', active: true }));
    const { body: hers } = await ask(ground, beside, 'POST /login', { body: login });
    expect((await ask(ground, beside, 'POST /refresh', { body: hers })).status).toBe(200);
    places.look(
      'the questions about a status',
      service
        .questions()
        .filter(({ url }) => url === '/status')
        .map(({ text }) => text)
        .join(),
    );
    await serving.end();

    places.look('the webhooks', hook.received.map(({ headers, body }) => JSON.stringify(headers) + body).join('\n'));
    places.look('all rows', await allRows(ground.url));
    for (const file of readdirSync(folder).filter((name) => name.startsWith('auth.db'))) {
      places.look(file, readFileSync(path.join(folder, file), 'latin1'));
    }
    expect(existsSync(path.join(folder, 'auth.db'))).toBe(kind === 'sqlite');

    expect(places.expectNone()).toBeGreaterThan(200);

    const leaves = allNodes(await commandTree(commandLine())).filter(({ children }) => children.length === 0);
    const names = leaves.map((leaf) => leaf.path.join(' ')).filter((name) => !NOT_DRIVEN.includes(name));
    expect(names.filter((name) => !ground.commands.has(name))).toEqual([]);
    const operations = Object.entries(document.paths).flatMap(([to, row]) =>
      Object.keys(row ?? {}).map((method) => `${method.toUpperCase()} ${to}`),
    );
    expect(operations.filter((name) => !ground.operations.has(`${name} granted`))).toEqual([]);
  });
});
