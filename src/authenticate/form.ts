import type { IncomingMessage } from 'node:http'

const MAX_FORM_BYTES = 4096

/** A small urlencoded body; undefined when it is anything else, or when its sender went away. */
export async function readForm(req: IncomingMessage): Promise<URLSearchParams | undefined> {
  if (!req.headers['content-type']?.toLowerCase().startsWith('application/x-www-form-urlencoded')) return undefined
  const chunks: Buffer[] = []
  let size = 0
  return new Promise((resolve) => {
    // What is too long is read and dropped: to stop reading would end the connection, and our answer with it.
    req.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= MAX_FORM_BYTES) chunks.push(chunk)
      else resolve(undefined)
    })
    req.once('end', () => resolve(new URLSearchParams(Buffer.concat(chunks).toString('utf8'))))
    req.once('close', () => resolve(undefined))
  })
}
