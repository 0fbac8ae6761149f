import type { IncomingMessage } from 'node:http'

/**
 * A whole request body; undefined when it is longer than `most` bytes or its sender went away. What is too long is read
 * and dropped: to stop reading would end the connection, and our answer with it.
 */
export function readBody(req: IncomingMessage, most: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  return new Promise((resolve) => {
    req.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= most) chunks.push(chunk)
      else {
        chunks.length = 0
        resolve(undefined)
      }
    })
    req.once('end', () => resolve(Buffer.concat(chunks)))
    req.once('close', () => resolve(undefined))
  })
}
