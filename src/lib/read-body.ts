import type { Readable } from 'node:stream'

/**
 * A whole request body; undefined when it is longer than `most` bytes or its sender went away. What is too long is read
 * and dropped: to stop reading would end the connection, and our answer with it.
 */
export function readBody(body: Readable | undefined, most: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  if (!body) return Promise.resolve(Buffer.alloc(0))
  let size = 0
  return new Promise((resolve) => {
    body.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= most) chunks.push(chunk)
      else {
        chunks.length = 0
        resolve(undefined)
      }
    })
    body.once('end', () => resolve(Buffer.concat(chunks)))
    body.once('close', () => resolve(undefined))
  })
}
