/** docs/clients/protect-an-api.md: its programs for Node work as they stand. Those in Python: test/foreign. */
import { expect, test } from 'vitest';
import { makeDatabase } from '../support/databases.ts';
import { example, exampleFolder, runProgram } from '../support/doc-example.ts';
import { freePort } from '../support/free-port.ts';
import { setStage } from '../support/stage.ts';
import { type AskApi, apiAt, checkApi, checkHelpless } from './api-check.ts';

const PAGE = 'docs/clients/protect-an-api.md';
const FRAMEWORKS = ['express', 'fastify', 'hono'];
const QUESTIONS = ['auth-jwks', 'auth-verify'];

async function startApi(framework: string, question: string, env: Readonly<Record<string, string>>): Promise<AskApi> {
  const cwd = exampleFolder({ 'auth.mjs': example(PAGE, question), 'app.mjs': example(PAGE, framework) });
  const port = await freePort();
  return apiAt(port, runProgram({ args: ['app.mjs'], cwd, env: { PORT: String(port), ...env } }));
}

test.each(FRAMEWORKS.flatMap((framework) => QUESTIONS.map((question) => [framework, question] as const)))(
  '%s with %s lets in whom it should, and says 503 when it cannot tell',
  async (framework, question) => {
    const stage = await setStage(await makeDatabase('sqlite'));
    const { api } = stage.server;
    const ask = await startApi(framework, question, { ISSUER: stage.issuer, CLIENT_SECRET: api.secret });
    await checkApi(stage, ask, question === 'auth-verify');

    const { access_token } = await stage.server.login();
    const nobody = `http://127.0.0.1:${await freePort()}`;
    const helpless = await startApi(framework, question, { ISSUER: nobody, CLIENT_SECRET: api.secret });
    await checkHelpless(access_token, helpless);
  },
  60_000,
);

test('a wrong client secret is trouble of the API, not of its callers', async () => {
  const { issuer, server } = await setStage(await makeDatabase('sqlite'));
  const { access_token } = await server.login();
  const ask = await startApi('express', 'auth-verify', { ISSUER: issuer, CLIENT_SECRET: 'wrong' });
  await checkHelpless(access_token, ask);
  expect((await ask()).status).toBe(401);
});
