/** `auth-server doctor` and what the server calls: the user service and its clock, webhook endpoints, brokers (contract §7). */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { checkReach } from '../../cli/reach.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Finding } from '../../src/domain/finding.ts';
import { makeAuthority } from '../support/certificates.ts';
import { runCli, workFolder } from '../support/cli.ts';
import { makeCliDatabase } from '../support/cli-database.ts';
import { freePort } from '../support/free-port.ts';
import { startStubUserService } from '../support/stub-user-service.ts';
import { openWebhookReceiver } from '../support/webhook-receiver.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

/** What is found with this configuration, in order. */
async function look(config: Readonly<Record<string, unknown>>): Promise<readonly Finding[]> {
  const folder = workFolder();
  writeFileSync(path.join(folder, 'auth.config.json'), JSON.stringify(config), { mode: 0o600 });
  return checkReach(loadConfig({ flags: {}, env: {}, cwd: folder }).config);
}

const withUsers = (url: string) => ({ users: { directory: 'http', http: { url, secret: SECRET } } });

interface Asked {
  readonly method: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

/** A service that answers everything alike. */
async function serve(
  status: number,
  headers: OutgoingHttpHeaders,
): Promise<{ readonly url: string; readonly asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer(({ method, headers: sent }, outgoing) => {
    asked.push({ method, headers: sent });
    outgoing.writeHead(status, headers).end();
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/login`, asked };
}

test('a user service that answers is ok, whatever it answers, and is told nothing', async () => {
  const { url, asked } = await serve(405, {});
  expect(await look(withUsers(url))).toMatchObject([
    { name: 'user service', status: 'ok' },
    { name: 'clock of the user service', status: 'ok' },
  ]);
  expect(asked.map(({ method, headers }) => [method, headers['webhook-signature']])).toEqual([['HEAD', undefined]]);
});

test.each([
  ['fail', -312_000, 'behind'],
  ['warn', 20_000, 'ahead of'],
])('a user service with another clock: %s', async (status, distance, word) => {
  const { url } = await serve(200, { date: new Date(Date.now() + distance).toUTCString() });
  expect(await look(withUsers(url))).toMatchObject([
    { name: 'user service', status: 'ok' },
    { status, message: expect.stringContaining(word), remedy: expect.stringContaining('timedatectl set-ntp true') },
  ]);
});

test('a user service that is away is a failure, with its reason; so is one whose certificate nobody knows', async () => {
  expect(await look(withUsers(`http://127.0.0.1:${await freePort()}/login`))).toMatchObject([
    { name: 'user service', status: 'fail', message: expect.stringContaining('ECONNREFUSED') },
  ]);
  const service = await startStubUserService(makeAuthority().issue({ address: '127.0.0.1' }));
  expect(await look(withUsers(service.origin))).toMatchObject([
    { name: 'user service', status: 'fail', message: expect.stringContaining('UNABLE_TO_VERIFY') },
  ]);
});

test('an endpoint with TLS at an address is asked by it: ok where its authority is known, else a warning that says so', async () => {
  const authority = makeAuthority();
  const service = await startStubUserService(authority.issue({ address: '127.0.0.1' }, 90));
  const config = { events: { webhooks: [{ url: `${service.origin}/hook`, secret: SECRET }] } };
  const reason = expect.stringContaining('UNABLE_TO_VERIFY');
  expect(await look(config)).toMatchObject([{ name: 'webhook endpoint', status: 'warn', message: reason }]);
  const known = getCACertificates();
  onTestFinished(() => setDefaultCACertificates(known));
  setDefaultCACertificates([...known, authority.certificate]);
  expect(await look(config)).toMatchObject([{ name: 'webhook endpoint', status: 'ok' }]);
});

test('webhook endpoints and brokers that are away are warnings, without their passwords', async () => {
  const receiver = await openWebhookReceiver();
  const [webhook, broker] = [await freePort(), await freePort()];
  const found = await look({
    events: {
      webhooks: [
        { url: receiver.url, secret: SECRET },
        { url: `http://127.0.0.1:${webhook}/hook`, secret: SECRET },
      ],
      brokers: [{ url: `redis://:hunter2@127.0.0.1:${broker}` }],
    },
  });
  expect(found).toMatchObject([
    { name: 'webhook endpoint', status: 'ok' },
    { name: 'webhook endpoint', status: 'warn', remedy: expect.stringContaining(`nc -vz 127.0.0.1 ${webhook}`) },
    { name: 'broker', status: 'warn', message: expect.stringContaining('ECONNREFUSED') },
  ]);
  expect(JSON.stringify(found)).not.toContain('hunter2');
  expect(receiver.received).toEqual([]);
});

test('a failure of them is one of doctor', async () => {
  const { folder } = await makeCliDatabase();
  const config = withUsers(`http://127.0.0.1:${await freePort()}/login`);
  writeFileSync(path.join(folder, 'auth.config.json'), JSON.stringify(config), { mode: 0o600 });
  const { code, stdout } = await runCli(['doctor', '--json'], { cwd: folder });
  expect(code).toBe(1);
  expect(JSON.parse(stdout).checks.at(-1)).toMatchObject({ name: 'user service', status: 'fail' });
});
