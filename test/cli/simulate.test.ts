/** `simulate`: all stories, each verdict as promised; and a promise that is not kept is told by the exit code (row 29). */
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { SCENARIO_NAMES } from '../../cli/commands/simulate.ts';
import { SCENARIOS } from '../../cli/simulate/scenarios.ts';
import { ALICE, tellStory } from '../../cli/simulate/story.ts';
import { openWorld } from '../../cli/simulate/world.ts';
import { runCli, workFolder } from '../support/cli.ts';

test('the names that completion knows are those of the stories', () => {
  expect(SCENARIOS.map(({ name }) => name)).toEqual([...SCENARIO_NAMES]);
});

test.each(SCENARIOS.map((scenario) => [scenario.name, scenario] as const))('%s', async (_, { play }) => {
  const world = await openWorld();
  const story = tellStory(world, () => undefined);
  await play(story);
  await world.close();
  expect(story.steps.length).toBeGreaterThan(3);
  for (const { verdict, promised } of story.steps) expect(verdict).toBe(promised);
});

test('a verdict that is not the promised one stands beside it', async () => {
  const world = await openWorld();
  const story = tellStory(world, () => undefined);
  const pair = await story.login(ALICE);
  await story.refresh(ALICE, pair, { promised: 'reused' });
  await world.close();
  expect(story.steps.at(-1)).toMatchObject({ verdict: 'generation 1', promised: 'reused' });
});

test('one story as JSON; an unknown one is wrong usage; nothing is left in the temporary folder', async () => {
  const cwd = workFolder();
  const { code, stdout } = await runCli(['simulate', 'thief-first', '--json'], { cwd, env: { TMPDIR: cwd } });
  const { ok, scenarios } = JSON.parse(stdout);
  expect({ code, ok, name: scenarios[0].name }).toEqual({ code: 0, ok: true, name: 'thief-first' });
  expect(scenarios[0].steps[2]).toEqual({
    at: '5:00',
    who: 'alice',
    does: 'presents 0',
    verdict: 'REUSED (late_retry, other address)',
    promised: 'REUSED (late_retry, other address)',
  });
  expect((await runCli(['simulate', 'nonsense'], { cwd })).code).toBe(2);
  expect(readdirSync(cwd)).toEqual([]);
});

test('a promise that is not kept: it is marked beside what was promised, and the exit is 1', async () => {
  const cwd = workFolder();
  // The same program, but its first story expects a spent token to be taken.
  const scenarios = new URL('../../cli/simulate/scenarios.ts', import.meta.url).href;
  const broken = path.join(cwd, 'broken.mjs');
  writeFileSync(
    broken,
    `import { SCENARIOS } from ${JSON.stringify(scenarios)};
     SCENARIOS.find(({ name }) => name === 'two-tabs').play = async (story) => {
       const alice = ${JSON.stringify(ALICE)};
       const pair = await story.login(alice);
       await story.refresh(alice, pair, { promised: 'generation 1' });
       await story.refresh(alice, pair, { promised: 'generation 2' });
     };`,
  );
  const options = { cwd, nodeArgs: ['--import', broken] };
  const plain = await runCli(['simulate', 'two-tabs'], options);
  expect(plain.code).toBe(1);
  expect(plain.stdout).toMatch(/\tREUSED \(late_retry\)\tgeneration 2$/m);
  const { code, stdout } = await runCli(['simulate', 'two-tabs', '--json'], options);
  expect({ code, ok: JSON.parse(stdout).ok }).toEqual({ code: 1, ok: false });
});
