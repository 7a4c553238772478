/** Real logins, few at a time: for what they leave in memory, which no family written through the store would show. */
import { USER } from './seed.ts';

/** At once; the server hashes one after another. */
const AT_ONCE = 4;

async function logInOnce(port: number): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: USER.name, password: USER.password }),
  });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`a login was answered with ${response.status}: ${text}`);
}

/** Four at once, each new session left open. @throws when one is not answered with 200 */
export async function logIn(port: number, count: number): Promise<void> {
  let left = count;
  const one = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await logInOnce(port);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}
