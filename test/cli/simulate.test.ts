/** `simulate`: all stories, each verdict as promised; and a promise that is not kept is told by the exit code (row 29). */
import { readdirSync } from 'node:fs';
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
