/** Form-encoded requests, as the standard endpoints take them (RFC 6749 appendix B). */
import type { Answer, Headers } from './http-client.ts';
import type { TestServer } from './test-server.ts';

/** Members that are undefined are left out; text is sent as it is. */
export type Form = Readonly<Record<string, string | undefined>> | string;

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

export function postForm(
  server: Pick<TestServer, 'send'>,
  path: string,
  form: Form,
  headers: Headers = {},
): Promise<Answer> {
  const body =
    typeof form === 'string'
      ? form
      : new URLSearchParams(
          Object.entries(form).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
        ).toString();
  return server.send({ method: 'POST', path, headers: { ...FORM, ...headers }, body });
}
