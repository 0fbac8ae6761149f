/** JupyterLab behind Postern, in the real browser: a kernel answers over its WebSocket. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chromiumPath, inChromium, launchChromium, newVisitor } from '../../e2e/browser/chromium.ts'
import { freePort } from '../../e2e/browser/demo.ts'
import { type Behind, openAsAlice, startBehind } from './behind.ts'
import { installed } from './installed.ts'
import { type Running, startServer } from './process.ts'

const jupyterlab = installed('jupyterlab', { from: 'pypi', packages: ['jupyterlab==4.6.6'] })

const NOTEBOOK = {
  cells: [
    { cell_type: 'code', id: 'sum', execution_count: null, metadata: {}, outputs: [], source: 'print(10**3 + 1)' },
  ],
  metadata: { kernelspec: { name: 'python3', display_name: 'Python 3', language: 'python' } },
  nbformat: 4,
  nbformat_minor: 5,
}

describe.skipIf(!jupyterlab.bin || !chromiumPath)(jupyterlab.name(inChromium('JupyterLab behind Postern')), () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-jupyter-'))
  let server: Running
  let behind: Behind
  let browser: Browser
  beforeAll(async () => {
    writeFileSync(join(folder, 'sum.ipynb'), JSON.stringify(NOTEBOOK))
    const port = await freePort()
    server = await startServer(
      [
        `${jupyterlab.bin}/jupyter-lab`,
        '--no-browser',
        '--allow-root',
        '--ServerApp.ip=127.0.0.1',
        `--ServerApp.port=${port}`,
        // Postern says who may; Jupyter, bound to loopback, refuses other names unless told so.
        '--IdentityProvider.token=',
        '--ServerApp.allow_remote_access=True',
      ],
      port,
      {
        cwd: folder,
        env: {
          PATH: `${jupyterlab.bin}:${process.env['PATH']}`,
          HOME: folder,
          JUPYTER_RUNTIME_DIR: join(folder, '.runtime'),
          JUPYTER_CONFIG_DIR: join(folder, '.config'),
        },
      },
    )
    behind = await startBehind(`http://127.0.0.1:${port}`)
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser?.close()
    await behind?.close()
    await server?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test('a cell runs and shows its output', async () => {
    const { page } = await newVisitor(browser)
    const sockets: string[] = []
    page.on('websocket', (socket) => sockets.push(socket.url()))
    await openAsAlice(page, `${behind.url}/lab/tree/sum.ipynb`)
    await page.locator('.jp-Notebook .jp-CodeCell').first().click()
    await page.getByText('Python 3 (ipykernel) | Idle').first().waitFor()
    await page.keyboard.press('Control+Enter')
    await expect.poll(() => page.locator('.jp-OutputArea-output').allInnerTexts()).toEqual(['1001\n'])
    expect(sockets.some((url) => /\/api\/kernels\/[^/]+\/channels/.test(url))).toBe(true)
  })
})
