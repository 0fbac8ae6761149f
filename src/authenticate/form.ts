import type { IncomingMessage } from 'node:http'
import { readBody } from '../lib/read-body.ts'

const MAX_FORM_BYTES = 4096

/** A small urlencoded body; undefined when it is anything else, or when its sender went away. */
export async function readForm(req: IncomingMessage): Promise<URLSearchParams | undefined> {
  if (!req.headers['content-type']?.toLowerCase().startsWith('application/x-www-form-urlencoded')) return undefined
  const body = await readBody(req, MAX_FORM_BYTES)
  return body && new URLSearchParams(body.toString('utf8'))
}
