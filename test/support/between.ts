/** A socket server between a client and a server of this machine, which changes what the server answers. */
import { createConnection, createServer, type Socket } from 'node:net'
import { listenOn, portOf } from './world.ts'

/** What comes back, as it is handed on; undefined: nothing is, ever again on this connection. */
export type Tamper = (reply: Buffer) => Buffer | undefined

export const honest: Tamper = (reply) => reply

export interface Between {
  readonly port: number
  tamper: Tamper
  /** Open sockets: each connection has one on either side. */
  readonly sockets: () => number
  close(): Promise<void>
}

/** @param port of the real server. */
export async function startBetween(port: number): Promise<Between> {
  const sockets = new Set<Socket>()
  const proxy = createServer((client) => {
    const server = createConnection(port, '127.0.0.1')
    for (const socket of [client, server]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
    client.pipe(server)
    server.on('data', (reply: Buffer) => {
      const told = between.tamper(reply)
      if (told && !client.destroyed) client.write(told)
    })
    server.once('close', () => client.destroy())
    client.once('close', () => server.destroy())
  })
  await listenOn(proxy as never)
  const between: Between = {
    port: portOf(proxy),
    tamper: honest,
    sockets: () => [...sockets].filter(({ destroyed }) => !destroyed).length,
    close() {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => proxy.close(() => resolve()))
    },
  }
  return between
}
