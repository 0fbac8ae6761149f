/** Node's parser of answers in its strict mode, behind the public interface: the other reader. */
import { request } from 'node:http'
import type { ReadAnswer } from './answer-reading.ts'
import { SilentPeer } from './silent-peer.ts'

/** The answer at the beginning of the bytes, or undefined. @param ended does the connection end behind them? */
export async function nodeReads(method: string, bytes: Buffer, ended: boolean): Promise<ReadAnswer | undefined> {
  let read: ReadAnswer | undefined
  const socket = new Connection()
  const asked = request({
    method,
    host: 'x',
    insecureHTTPParser: false,
    maxHeaderSize: 128 * 1024,
    createConnection: () => socket,
  })
  asked.on('error', () => {})
  asked.on('response', (res) => {
    let body = ''
    res.on('data', (piece: Buffer) => (body += piece.toString('latin1')))
    res.on('error', () => {})
    res.on('end', () => {
      const headers = res.rawHeaders.map((part, i) => (i % 2 === 0 ? part.toLowerCase() : part))
      if (res.complete) read = { status: res.statusCode ?? 0, headers, body }
    })
  })
  asked.end()
  // It listens to its connection in the next turn.
  await turn()
  socket.push(bytes)
  if (ended) socket.push(null)
  for (let turns = 0; turns < 3; turns++) await turn()
  asked.destroy()
  socket.destroy()
  return read
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

class Connection extends SilentPeer {
  // What node:http asks of a socket.
  setTimeout(): this {
    return this
  }
  setNoDelay(): this {
    return this
  }
  setKeepAlive(): this {
    return this
  }
  ref(): this {
    return this
  }
  unref(): this {
    return this
  }
}
