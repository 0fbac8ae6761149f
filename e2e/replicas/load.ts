/** People who never stop asking, and what they saw. Tests only. */
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Load {
  /** Answers so far, by status. */
  answered(): ReadonlyMap<number, number>
  /** Ends the load; what got no whole answer, each with its reason. */
  stop(): Promise<readonly string[]>
}

export interface LoadOptions {
  readonly port: number
  readonly host: string
  readonly cookie: string
}

/** Between two requests of one client. */
const PAUSE_MS = 10

/**
 * Two clients that keep their connection, two that open one for each form they send, and one that downloads slowly.
 * A request without body that meets a kept connection just as it ends is sent again, as browsers do (RFC 9112 §9.3.1).
 */
export function startLoad({ port, host, cookie }: LoadOptions): Load {
  const answered = new Map<number, number>()
  const lost: string[] = []
  let stopped = false

  function ask(method: 'GET' | 'POST', path: string, agent: Agent | false): Promise<void> {
    return new Promise((resolve) => {
      const headers = { host, cookie, 'sec-fetch-mode': 'cors' }
      const asked = request({ host: '127.0.0.1', port, agent, method, path, headers }, (response) => {
        let body = ''
        response.setEncoding('utf8').on('data', (text: string) => (body += text))
        response.on('error', (error) => fail(`cut off: ${error.message}`))
        response.on('end', () => {
          const status = response.statusCode ?? 0
          answered.set(status, (answered.get(status) ?? 0) + 1)
          if (status !== 200) fail(`${status} ${body.slice(0, 200)}`)
          else if (path === '/slow' && !body.endsWith('done')) fail('half an answer')
          else resolve()
        })
      })
      function fail(reason: string): void {
        lost.push(`${method} ${path}: ${reason}`)
        resolve()
      }
      asked.on('error', (error) => {
        if (asked.reusedSocket && method === 'GET') resolve(ask(method, path, agent))
        else fail(error.message)
      })
      asked.end(method === 'POST' ? 'a form' : undefined)
    })
  }

  async function client(method: 'GET' | 'POST', path: string, keeps: boolean): Promise<void> {
    const agent = keeps && new Agent({ keepAlive: true, maxSockets: 1 })
    while (!stopped) {
      await ask(method, path, agent)
      await sleep(PAUSE_MS)
    }
    if (agent) agent.destroy()
  }

  const clients = Promise.all([
    client('GET', '/', true),
    client('GET', '/', true),
    client('POST', '/', false),
    client('POST', '/', false),
    client('GET', '/slow', false),
  ])
  return {
    answered: () => answered,
    async stop() {
      stopped = true
      await clients
      return lost
    },
  }
}
