/** As much of a load balancer as replicas need: round robin over TCP among those that say they are ready. Tests only. */
import { get } from 'node:http'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface Backend {
  readonly port: number
  /** Of /readyz. */
  readonly healthPort: number
}

export interface Balancer {
  readonly port: number
  /** Backends that were ready when they were last asked. */
  ready(): number
  close(): Promise<void>
}

/** Less than the `drain_delay` of what stands behind, or new connections meet a closed port. */
export const PROBE_INTERVAL_MS = 200

/** `backends`: those of now, asked anew for each connection and each probe. */
export async function startBalancer(backends: () => readonly Backend[]): Promise<Balancer> {
  const sockets = new Set<Socket>()
  let healthy: ReadonlySet<Backend> = new Set()
  let turn = 0

  async function probe(): Promise<void> {
    const all = backends()
    const answers = await Promise.all(all.map(isReady))
    healthy = new Set(all.filter((_, place) => answers[place]))
  }

  const server = createServer((client) => {
    keep(client)
    const candidates = backends().filter((backend) => healthy.has(backend))
    const start = turn++
    function tryNext(attempt: number): void {
      const backend = candidates[(start + attempt) % candidates.length]
      if (!backend || attempt === candidates.length) return void client.destroy()
      const upstream = connect(backend.port, '127.0.0.1')
      // Nothing was sent to it: it may go to the next.
      const refused = (): void => tryNext(attempt + 1)
      upstream.once('error', refused)
      upstream.once('connect', () => {
        upstream.off('error', refused)
        keep(upstream)
        upstream.once('close', () => client.destroy())
        client.once('close', () => upstream.destroy())
        client.pipe(upstream).pipe(client)
      })
    }
    tryNext(0)
  })
  function keep(socket: Socket): void {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => {})
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  await probe()
  let probing = Promise.resolve()
  const timer = setInterval(() => void (probing = probing.then(probe)), PROBE_INTERVAL_MS)
  return {
    port: (server.address() as AddressInfo).port,
    ready: () => healthy.size,
    async close() {
      clearInterval(timer)
      await probing
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function isReady({ healthPort }: Backend): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(
      { host: '127.0.0.1', port: healthPort, path: '/readyz', agent: false, timeout: 5000 },
      (response) => {
        response.resume()
        resolve(response.statusCode === 200)
      },
    )
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(false))
  })
}
