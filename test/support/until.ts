/** Waiting for a condition, for as long as it takes and not for ever: what a test does instead of sleeping. */
import { setTimeout as delay } from 'node:timers/promises';

const LIMIT_MS = 20_000;
const STEP_MS = 5;

/** @throws when the condition does not come, saying which */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let waited = 0; !(await condition()); waited += STEP_MS) {
    if (waited >= LIMIT_MS) throw new Error(`waited in vain until ${what}`);
    await delay(STEP_MS);
  }
}
