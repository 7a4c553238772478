/**
 * What our figures are divided by: a bare hono server that parses a JSON body and answers it, and nothing else. It is as
 * much HTTP as any server on this framework pays for. Run as a program: `echo.ts <port>`.
 */
import { serve } from '@hono/node-server';
import { Hono } from 'hono';

const app = new Hono();
app.get('/', (context) => context.json({ status: 'ok' }));
app.post('/', async (context) => context.json(await context.req.json()));

serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.argv[2]) });
