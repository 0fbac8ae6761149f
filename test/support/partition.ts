import { createConnection, createServer, type Socket } from 'node:net'
import { listenOn, portOf } from './world.ts'

/** A way to a server on this machine that can be cut as a network is: nothing arrives, and nobody is told. */
export interface Partition {
  readonly port: number
  cut(): void
  heal(): void
  close(): Promise<void>
}

export async function startPartition(to: number): Promise<Partition> {
  const sockets = new Set<Socket>()
  let isCut = false
  const keep = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
    if (isCut) socket.pause()
  }
  const server = createServer((client) => {
    const there = createConnection(to, '127.0.0.1')
    client.pipe(there).pipe(client)
    client.once('close', () => there.destroy())
    there.once('close', () => client.destroy())
    keep(client)
    keep(there)
  })
  await listenOn(server as never)
  return {
    port: portOf(server),
    cut() {
      isCut = true
      for (const socket of sockets) socket.pause()
    },
    heal() {
      isCut = false
      for (const socket of sockets) socket.resume()
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
