/** `npm pack` (contract §11) and docs/clients/sdk.md: an empty project can install the package, and its programs work as they stand. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { makeDatabase } from '../support/databases.ts';
import { example, exampleFolder, runProgram } from '../support/doc-example.ts';
import { freePort } from '../support/free-port.ts';
import { setStage } from '../support/stage.ts';
import { PASSWORD } from '../support/test-server.ts';
import { until } from '../support/until.ts';
import { apiAt, checkHelpless } from './api-check.ts';

const PACKED = 'src/sdk/packed';
const PAGE = 'docs/clients/sdk.md';
const root = path.dirname(path.dirname(import.meta.dirname));
const bin = path.join(root, 'node_modules/.bin');

let project = '';

/** As somebody has npm who uses the package: not told by `npm run` where this repository is. */
function npm(cwd: string, ...args: readonly string[]): string {
  const settings = Object.entries(process.env).filter(([name]) => !/^npm_(package|lifecycle|config_local)/.test(name));
  const env = { ...Object.fromEntries(settings), npm_config_loglevel: 'error' };
  return execFileSync('npm', args, { cwd, env, encoding: 'utf8' });
}

interface Tarball {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

let tarball: Tarball;

beforeAll(() => {
  // Above it there is nothing that a program could find a package in.
  project = mkdtempSync(path.join(os.tmpdir(), 'auth-server-package-'));
  [tarball] = JSON.parse(npm(root, 'pack', '--json', '--pack-destination', project)) as [Tarball];
  writeFileSync(path.join(project, 'package.json'), '{"private":true,"type":"module"}');
  npm(project, 'install', '--prefer-offline', '--no-audit', '--no-fund', `./${tarball.filename}`);
}, 120_000);
afterAll(() => rmSync(project, { recursive: true, force: true }));

/** A folder of the project, so that programs in it find what was installed. */
function inProject(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(path.join(project, 'program-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
  return folder;
}

test('the package is the SDK, its types and its licence, and needs jose alone', () => {
  const compiled = readdirSync(path.join(root, PACKED)).map((name) => `${PACKED}/${name}`);
  const files = tarball.files.map((file) => file.path);
  expect(files.toSorted()).toEqual(['LICENSE', 'README.md', 'package.json', ...compiled].toSorted());
  const modules = readdirSync(path.join(project, 'node_modules')).filter((name) => !name.startsWith('.'));
  expect(modules.toSorted()).toEqual(['auth-server', 'jose']);
  const manifest = JSON.parse(readFileSync(path.join(project, 'node_modules/auth-server/package.json'), 'utf8'));
  expect(manifest).toMatchObject({ type: 'module', license: 'Apache-2.0' });
  expect(Object.keys(manifest.dependencies)).toEqual(['jose']);
  for (const kind of ['optionalDependencies', 'peerDependencies', 'bin']) expect(manifest).not.toHaveProperty(kind);
  const code = compiled.map((name) => readFileSync(path.join(root, name), 'utf8')).join('\n');
  expect([...new Set([...code.matchAll(/ from '([^'.][^']*)'/g)].map(([, name]) => name))]).toEqual(['jose']);
});

test.each([
  ['of a browser', ['--lib', 'es2022,dom,dom.iterable', '--types', '']],
  ['of Node', ['--lib', 'es2024', '--types', 'node', '--typeRoots', path.join(root, 'node_modules/@types')]],
])('its types are those that a program %s needs', (_name, settings) => {
  const program = `
    import { createVerifier, type Verdict } from 'auth-server/verifier';
    import { type Client, ClientError, createClient, type Session } from 'auth-server/client';
    const verifier = createVerifier({ issuer: 'https://a.example', audience: ['api'], clientId: 'api', clientSecret: 's' });
    const verdict: Verdict = await verifier.verify('token');
    export const said: string = verdict.active ? verdict.claims.sub : verdict.reason;
    let held: Session | undefined;
    const storage = { get: () => held, set: (session: Session) => { held = session; }, remove: () => { held = undefined; } };
    export const client: Client = createClient({ issuer: 'https://a.example', storage, onSignedOut: (reason: string) => reason });
    try { await client.fetch('https://b.example'); } catch (error) {
      if (error instanceof ClientError) export_(error.code, error.retryAfterMs);
    }
    function export_(_code: string, _ms: number): void {}
    // @ts-expect-error: there are two things that it can do.
    createVerifier({ issuer: 'https://a.example', audience: 'api', clientId: 'api', clientSecret: 's', whenStale: 'hope' });
  `;
  const folder = inProject({ 'program.ts': program });
  const strict = ['--strict', '--exactOptionalPropertyTypes', '--noEmit', '--module', 'nodenext', '--target', 'es2022'];
  execFileSync(path.join(bin, 'tsc'), [...strict, ...settings, 'program.ts'], { cwd: folder, stdio: 'inherit' });
});

test('an Express API with the verifier lets in whom it should, and hears of a logout within a second', async () => {
  const { server, issuer } = await setStage(await makeDatabase('sqlite'));
  const auth = example(PAGE, 'auth-verifier');
  const start = async (at: string) => {
    // Express comes from this repository, the package from its tarball.
    const cwd = exampleFolder({ 'auth.mjs': auth, 'app.mjs': example('docs/clients/protect-an-api.md', 'express') });
    const installed = path.join(cwd, 'node_modules/auth-server');
    mkdirSync(installed, { recursive: true });
    execFileSync('tar', ['-xzf', path.join(project, tarball.filename), '-C', installed, '--strip-components=1']);
    const port = await freePort();
    const env = { PORT: String(port), ISSUER: at, CLIENT_ID: 'api', CLIENT_SECRET: server.api.secret };
    return apiAt(port, runProgram({ args: ['app.mjs'], cwd, env }));
  };
  const ask = await start(issuer);
  const { access_token, refresh_token } = await server.login();
  await server.addClient('billing', { isPublic: true, audiences: ['billing'] });
  const foreign = (await server.login({ client_id: 'billing' })).access_token;
  expect((await ask()).status).toBe(401);
  for (const token of ['x', refresh_token, foreign]) expect((await ask(`Bearer ${token}`)).status).toBe(401);
  expect(await ask(`Bearer ${access_token}`)).toMatchObject({ status: 200, body: { of: server.subject } });
  await server.post('/logout', { refresh_token });
  const began = performance.now();
  await until(async () => (await ask(`Bearer ${access_token}`)).status === 401, 'the API has heard of the logout');
  expect(performance.now() - began).toBeLessThan(1_000);
  await checkHelpless(access_token, await start(`http://127.0.0.1:${await freePort()}`));
}, 60_000);

test('a program with the client logs in, asks, and logs out; one with a verifier ends by itself', async () => {
  const { server, issuer } = await setStage(await makeDatabase('sqlite'));
  const port = await freePort();
  // Of the verifier, too: it judges what the client has got, and nobody closes it.
  const api = `
    import http from 'node:http';
    import { claimsOf } from './auth.mjs';
    const server = http.createServer(async (request, response) => {
      const claims = await claimsOf(request.headers.authorization.slice('Bearer '.length));
      response.end(JSON.stringify({ of: claims.sub }), () => { server.close(); server.closeIdleConnections(); });
    });
    server.listen(process.env.PORT, '127.0.0.1', () => console.log('listening'));
  `;
  const auth = example(PAGE, 'auth-verifier').replace("'10s'", "'500ms'");
  const cwd = inProject({ 'auth.mjs': auth, 'api.mjs': api, 'app.mjs': example(PAGE, 'client') });
  const env = {
    ISSUER: issuer,
    API: `http://127.0.0.1:${port}`,
    PORT: String(port),
    PASSWORD,
    CLIENT_ID: 'api',
    CLIENT_SECRET: server.api.secret,
  };
  const start = (name: string) => {
    const child = spawn(path.join(bin, 'node'), [name], { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    return { ended: once(child, 'close'), said: () => said };
  };
  const running = start('api.mjs');
  await until(() => running.said() === 'listening\n', 'the API listens');
  const program = start('app.mjs');
  expect((await program.ended)[0]).toBe(0);
  expect(program.said()).toBe(`200 { of: '${server.subject}' }\n`);
  expect((await running.ended)[0]).toBe(0);
  expect(await server.events()).toContainEqual(
    expect.objectContaining({ type: 'family.revoked', data: expect.objectContaining({ cause: 'logout' }) }),
  );
}, 60_000);
