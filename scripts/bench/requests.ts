/** Requests as the load generator writes them: whole, and made before the clock runs. */

/** The body is ASCII, so its length is that of the string. */
export function post(path: string, body: string, headers = ''): string {
  const head = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n`;
  return `${head}${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** @param headers each with its line break */
export const get = (path: string, headers = ''): string => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${headers}\r\n`;
