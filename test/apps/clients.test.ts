/** Clients that offer HTTP/2 in clear text with each first request (RFC 7540 §3.2): the offer is ignored. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Behind, startBehind } from './behind.ts'
import { onPath } from './installed.ts'
import { run } from './process.ts'

const curl = onPath(['curl'], 'apt-get install curl')
const java = onPath(['java', 'javac'], 'apt-get install openjdk-17-jdk-headless')

const CLIENT = `
import java.net.URI;
import java.net.http.*;

class Client {
  public static void main(String[] args) throws Exception {
    HttpClient client = HttpClient.newHttpClient();
    for (String method : new String[] {"GET", "POST"}) {
      var body = method.equals("GET") ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofString("from Java");
      var request = HttpRequest.newBuilder(URI.create(args[0])).method(method, body);
      if (args.length > 1) request.header("Cookie", args[1]);
      var response = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
      System.out.println(response.statusCode() + " " + response.version() + " " + response.body());
    }
  }
}
`

/** What the echoing upstream saw. */
interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

describe('clients', () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-clients-'))
  let behind: Behind
  beforeAll(async () => {
    behind = await startBehind()
    writeFileSync(join(folder, 'Client.java'), CLIENT)
    // Java asks the system for names, which may not know *.localhost.
    writeFileSync(join(folder, 'hosts'), '127.0.0.1 app.localhost localhost\n')
  })
  afterAll(async () => {
    await behind?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  function expectNoOffer({ headers }: Seen): void {
    expect(headers).not.toHaveProperty('upgrade')
    expect(headers).not.toHaveProperty('http2-settings')
    expect(headers['connection'] ?? '').not.toMatch(/upgrade/i)
  }

  describe.skipIf(curl.bin === undefined)(curl.name('curl --http2'), () => {
    const curlHttp2 = [
      'curl',
      '--http2',
      '--noproxy',
      '*',
      '--silent',
      '--show-error',
      '--write-out',
      '\n%{http_code} %{http_version}',
    ] as const

    test.each(['GET', 'POST'])('%s with a session is answered in HTTP/1.1', async (method) => {
      const { code, output } = await run([
        ...curlHttp2,
        '--header',
        `Cookie: ${await behind.cookie()}`,
        ...(method === 'POST' ? ['--data', 'from curl'] : []),
        `${behind.url}/some/path?a=b`,
      ])
      expect(code, output).toBe(0)
      const [body = '', status] = output.split('\n')
      expect(status).toBe('200 1.1')
      const seen = JSON.parse(body) as Seen
      expect(seen).toMatchObject({ method, url: '/some/path?a=b', body: method === 'POST' ? 'from curl' : '' })
      expectNoOffer(seen)
    })

    test('without a session it is 401, not a redirect', async () => {
      const { output } = await run([...curlHttp2, `${behind.url}/`])
      expect(output).toMatch(/\n401 1\.1$/)
    })
  })

  describe.skipIf(java.bin === undefined)(java.name("Java's HttpClient"), () => {
    test.each(['with a session', 'on a public route'])('GET and POST %s with one client', async (how) => {
      const target =
        how === 'with a session'
          ? [`${behind.url}/from/java`, await behind.cookie()]
          : [`${behind.publicUrl}/from/java`]
      const hosts = `-Djdk.net.hosts.file=${join(folder, 'hosts')}`
      const { code, output } = await run(['java', hosts, join(folder, 'Client.java'), ...target])
      expect(code, output).toBe(0)
      const lines = output.split('\n').filter((line) => /^\d{3} HTTP/.test(line))
      expect(lines).toHaveLength(2)
      for (const [index, line] of lines.entries()) {
        const [, status, seen = ''] = /^(\d+ \S+) (.*)$/.exec(line) ?? []
        expect(status).toBe('200 HTTP_1_1')
        const request = JSON.parse(seen) as Seen
        expect(request).toMatchObject(
          index === 0 ? { method: 'GET', body: '' } : { method: 'POST', body: 'from Java', url: '/from/java' },
        )
        expectNoOffer(request)
      }
    })
  })
})
