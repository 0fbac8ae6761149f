import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type TLSSocket } from 'node:tls'
import { NGINX_TLS, POSTERN_TLS, TLS } from './budgets.ts'
import { createCertificate } from './certificate.ts'
import { type Cell, circumstances, median } from './figures.ts'
import { startNginxProxy } from './nginx.ts'
import { startPostern } from './postern.ts'
import { answering, find, freePort, UNDER_TEST } from './programs.ts'
import type { Ground, Selection } from './proxies.ts'
import { compare, type Target } from './rounds.ts'
import { printCells } from './table.ts'

const HANDSHAKES = 400
const PARALLEL = 8

/** Requests over kept connections with TLS 1.3, and handshakes: whole ones and resumed ones. */
export async function compareTls(selection: Selection, ground: Ground): Promise<readonly Cell[]> {
  if (!selection.wanted(TLS)) return []
  if (find('openssl') === undefined) {
    selection.leave('TLS: no openssl (apt-get install openssl)')
    return []
  }
  const certificate = createCertificate(ground.directory)
  const postern = await startPostern({ core: UNDER_TEST, ...ground, certificate })
  const at = await freePort()
  const nginx = startNginxProxy(UNDER_TEST, ground.directory, at, ground.upstream, certificate)
  await answering(at, '/', true)
  const host = { Host: `app.localhost:${at}` }
  const targets: readonly Target[] = [
    { name: POSTERN_TLS, program: postern.program, port: postern.port, headers: postern.app, tls: true },
    { name: NGINX_TLS, program: nginx, port: at, headers: host, tls: true },
  ]
  const cells = [...(await compare(selection, { name: TLS, path: '/', connections: 64, targets }))]
  for (const resumed of [false, true])
    cells.push(...(await handshakes(selection.rounds, targets, certificate.pem, resumed)))
  await postern.close()
  await nginx.stop()
  return cells
}

async function handshakes(
  rounds: number,
  targets: readonly Target[],
  ca: string,
  resumed: boolean,
): Promise<readonly Cell[]> {
  const work = `${resumed ? 'resumed' : 'full'} TLS 1.3 handshakes, ${PARALLEL} at a time`
  const measured = targets.map((target) => ({ target, cpu: [] as number[], rate: [] as number[] }))
  for (let round = 0; round <= rounds; round++) {
    for (const { target, cpu, rate } of measured) {
      const session = resumed ? await ticket(target.port, ca) : undefined
      const before = target.program.cpu()
      const began = performance.now()
      let next = 0
      const connectAll = async (): Promise<void> => {
        while (next++ < HANDSHAKES) {
          const socket = await handshake(target.port, ca, session)
          if (socket.isSessionReused() !== resumed) throw new Error(`${target.name}: a session was not resumed`)
          socket.destroy()
        }
      }
      await Promise.all(Array.from({ length: PARALLEL }, connectAll))
      const seconds = (performance.now() - began) / 1000
      // What closed connections leave to be done belongs to them.
      await sleep(50)
      if (round === 0) continue
      cpu.push(((target.program.cpu() - before) / HANDSHAKES) * 1e6)
      rate.push(HANDSHAKES / seconds)
    }
  }
  const now = circumstances()
  const cells = measured.map(
    ({ target, cpu, rate }): Cell => ({
      work,
      target: target.name,
      connections: PARALLEL,
      rounds: cpu,
      requestsPerSecond: median(rate),
      rssMiB: target.program.rss(),
      circumstances: now,
    }),
  )
  printCells(cells)
  return cells
}

function handshake(port: number, ca: string, session?: Buffer): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const servername = 'app.localhost'
    const socket = connect({
      host: '127.0.0.1',
      port,
      ca,
      servername,
      minVersion: 'TLSv1.3',
      ...(session && { session }),
    })
    socket.once('error', reject)
    socket.once('secureConnect', () => resolve(socket))
  })
}

/** A session ticket; servers send it behind the handshake. */
async function ticket(port: number, ca: string): Promise<Buffer> {
  const socket = await handshake(port, ca)
  const session = await new Promise<Buffer>((resolve) => socket.once('session', resolve))
  socket.destroy()
  return session
}
