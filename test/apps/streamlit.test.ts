/** Streamlit behind Postern, in the real browser: a widget reaches the script over its WebSocket. */
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

const streamlit = installed('streamlit', { from: 'pypi', packages: ['streamlit==1.67.0'] })

const SCRIPT = `
import streamlit as st

name = st.text_input("Name", "nobody")
st.write(f"Hello, {name}!")
uploaded = st.file_uploader("File")
if uploaded:
    st.write(f"{uploaded.name} has {len(uploaded.getvalue())} bytes")
`

describe.skipIf(!streamlit.bin || !chromiumPath)(streamlit.name(inChromium('Streamlit behind Postern')), () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-streamlit-'))
  let server: Running
  let behind: Behind
  let overTls: Behind
  let browser: Browser
  beforeAll(async () => {
    writeFileSync(join(folder, 'app.py'), SCRIPT)
    const port = await freePort()
    const options = ['--server.address', '127.0.0.1', '--server.port', String(port), '--server.headless', 'true']
    const quiet = ['--browser.gatherUsageStats', 'false', '--server.fileWatcherType', 'none']
    server = await startServer([`${streamlit.bin}/streamlit`, 'run', 'app.py', ...options, ...quiet], port, {
      cwd: folder,
      env: { HOME: folder },
    })
    behind = await startBehind(`http://127.0.0.1:${port}`)
    overTls = await startBehind(`http://127.0.0.1:${port}`, {}, 'https')
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser?.close()
    await overTls?.close()
    await behind?.close()
    await server?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test.each(['http', 'https'])(
    'over %s a changed widget runs the script again, and a file is uploaded',
    async (scheme) => {
      const { url } = scheme === 'https' ? overTls : behind
      const { page } = await newVisitor(browser, { ignoreHTTPSErrors: true })
      const sockets: string[] = []
      page.on('websocket', (socket) => sockets.push(socket.url()))
      await openAsAlice(page, `${url}/`)
      await page.getByText('Hello, nobody!').waitFor()
      await page.getByLabel('Name').fill('Alice')
      await page.getByLabel('Name').press('Enter')
      await page.getByText('Hello, Alice!').waitFor()
      expect(sockets).toContain(`${url.replace('http', 'ws')}/_stcore/stream`)
      await page
        .locator('input[type=file]')
        .setInputFiles({ name: 'data.bin', mimeType: 'application/octet-stream', buffer: Buffer.alloc(3_000_000) })
      await page.getByText('data.bin has 3000000 bytes').waitFor()
    },
  )
})
