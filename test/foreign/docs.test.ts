/** The programs in Python of docs/clients work as they stand. Those for Node: test/docs. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { apiAt, checkApi, checkHelpless } from '../docs/api-check.ts';
import { makeDatabase } from '../support/databases.ts';
import { example, exampleFolder, runProgram } from '../support/doc-example.ts';
import { freePort } from '../support/free-port.ts';
import { setStage } from '../support/stage.ts';
import { PASSWORD, USERNAME } from '../support/test-server.ts';
import { startPython } from './python.ts';

const API_PAGE = 'docs/clients/protect-an-api.md';
const CLAIMS_OF = /def claims_of.*?\n\n\n(?=def )/s;

test.each(['PyJWT', '/verify'])(
  'a Flask API that asks %s lets in whom it should, and says 503 when it cannot tell',
  async (question) => {
    const stage = await setStage(await makeDatabase('sqlite'));
    const whole = example(API_PAGE, 'flask');
    expect(whole).toMatch(CLAIMS_OF);
    const code = question === 'PyJWT' ? whole : whole.replace(CLAIMS_OF, `${example(API_PAGE, 'flask-verify')}\n\n`);
    const start = async (issuer: string) => {
      const port = await freePort();
      const said = runProgram({
        command: '/usr/bin/python3',
        args: ['-m', 'flask', '--app', 'app', 'run', '--port', String(port)],
        cwd: exampleFolder({ 'app.py': code }),
        env: { ISSUER: issuer, CLIENT_SECRET: stage.server.api.secret, PYTHONDONTWRITEBYTECODE: '1' },
      });
      return apiAt(port, said);
    };
    await checkApi(stage, await start(stage.issuer), question === '/verify');
    const { access_token } = await stage.server.login();
    await checkHelpless(access_token, await start(`http://127.0.0.1:${await freePort()}`));
  },
);

interface Way {
  readonly url: string;
  /** Answers to come that get lost, after the server has done its work. */
  lost: number;
  refreshes: number;
}

/** A way to the server that loses answers. */
async function startWay(to: string): Promise<Way> {
  const way = { url: '', lost: 0, refreshes: 0 };
  const server = http.createServer((incoming, outgoing) => {
    const { method, url = '', headers } = incoming;
    const onward = http.request(`${to}${url}`, { ...(method === undefined ? {} : { method }), headers }, (answer) => {
      if (url === '/refresh') way.refreshes += 1;
      if (url === '/refresh' && way.lost > 0) {
        way.lost -= 1;
        answer.resume().once('end', () => outgoing.destroy());
        return;
      }
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  way.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return way;
}

test.each(['the built-in client', 'a confidential client'])('the Session of %s keeps the five rules', async (kind) => {
  const { server, issuer, backend } = await setStage(await makeDatabase('sqlite'));
  const way = await startWay(issuer);
  const folder = exampleFolder({ 'session.py': example('docs/clients/stay-logged-in.md', 'session-python') });
  const client = kind === 'a confidential client' ? [backend.id, backend.secret] : null;
  const ask = startPython('session_driver.py', { EXAMPLE: folder, URL: way.url, CLIENT: JSON.stringify(client) });
  const login = { do: 'login', username: USERNAME, password: PASSWORD };

  expect(await ask({ ...login, password: 'wrong' })).toEqual({ refused: 'invalid_credentials', kept: false });
  const { token, mode } = await ask(login);
  expect(mode).toBe('0o600');
  const { sid, client_id } = await server.verify(String(token));
  expect(client_id).toBe(client === null ? 'default' : 'backend');

  const shared = await ask({ do: 'refresh', threads: 8 });
  expect(shared.different).toBe(1);
  expect(shared.token).not.toBe(token);
  expect(way.refreshes).toBe(1);
  expect(await server.verify(String(shared.token))).toMatchObject({ active: true, sid });

  way.lost = 1;
  expect(await ask({ do: 'refresh', threads: 1 })).toMatchObject({ different: 1 });
  expect((await server.family(String(sid))).generation).toBe(2);

  await ask({ do: 'restart', attempts: 1 });
  way.lost = 1;
  const given = await ask({ do: 'refresh', threads: 1 });
  expect(given).toMatchObject({ failed: expect.stringContaining('still logged in'), kept: true });
  await ask({ do: 'restart', attempts: 5 });
  const again = await ask({ do: 'refresh', threads: 1 });
  expect(await server.verify(String(again.token))).toMatchObject({ active: true, sid });
  expect((await server.family(String(sid))).generation).toBe(3);

  expect(await ask({ do: 'logout' })).toEqual({ token: null, mode: null });
  expect(await server.verify(String(again.token))).toEqual({ active: false, reason: 'revoked' });

  await ask(login);
  const held = JSON.parse(readFileSync(path.join(folder, 'session.json'), 'utf8')) as { refresh_token: string };
  await server.post('/logout', { refresh_token: held.refresh_token });
  expect(await ask({ do: 'refresh', threads: 1 })).toEqual({ signed_out: 'revoked', kept: false });
});
