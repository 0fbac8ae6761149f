/** Style and script of the sample application's page. */

export const ICON = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect x="3" y="3" width="26" height="26" rx="7" fill="#1a7f6b"/><path stroke="#fff" stroke-width="3" stroke-linecap="round" d="M10 12h12M10 20h7"/></svg>',
)}`

export const STYLE = `
:root { color-scheme: light dark; --ink: #16262a; --soft: #52646a; --line: #d5e0e0; --ground: #f2f7f6; --paper: #fff; --accent: #0f6b59; --on-accent: #fff; --good: #1a6b3f; --bad: #a8231b }
@media (prefers-color-scheme: dark) { :root { --ink: #e4eeee; --soft: #a0b2b5; --line: #2a3a3e; --ground: #0d1517; --paper: #152023; --accent: #6fd3bd; --on-accent: #06221c; --good: #7fd7a5; --bad: #ff9d92 } }
*, *::before, *::after { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif; overflow-wrap: anywhere; -webkit-text-size-adjust: 100% }
main { max-width: 50rem; margin: 0 auto; padding: 2rem 1rem 3rem }
header { padding: 0 .25rem } h1, h2, p, dl, dd { margin: 0 }
h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -.02em } h2 { font-size: 1.125rem } .who { font-size: 1.375rem; line-height: 1.3 }
section { margin-top: 1.25rem; padding: 1.5rem; background: var(--paper); border: 1px solid var(--line); border-radius: .9rem }
.soft, dt, output { color: var(--soft) } .good { color: var(--good) } .bad { color: var(--bad) }
code { font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace }
dl { margin-top: 1rem } dl div { display: grid; grid-template-columns: 11rem 1fr; gap: 0 1rem; padding: .4rem 0; border-top: 1px solid var(--line) }
.line { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; margin-top: 1rem } .line label { flex: 1 0 100%; font-weight: 600 } label output { font-weight: 400; font-size: .875rem; margin-left: .5rem }
input { flex: 1 1 14rem; min-width: 0; max-width: 100%; min-height: 2.5rem; font: inherit; color: inherit; padding: .3rem .7rem; border: 1px solid var(--soft); border-radius: .5rem; background: var(--paper) }
input[type=file] { padding: .45rem .6rem }
button { font: inherit; font-weight: 600; min-height: 2.5rem; padding: .3rem 1.1rem; border: 1px solid var(--accent); border-radius: .5rem; background: var(--accent); color: var(--on-accent); cursor: pointer }
button:disabled { border-color: var(--line); background: none; color: var(--soft); cursor: default }
#heard { flex: 1 0 100% } #heard:empty { display: none }
.links { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; margin-top: 1.25rem } a { color: var(--accent); text-underline-offset: .2em }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
@media (max-width: 34rem) { section { padding: 1.1rem 1rem } dl div { grid-template-columns: 1fr } main { padding-top: 1.25rem } }
`

/** Opens the echo WebSocket and shows its state: it is cut when the permission ends. */
export const SCRIPT = `
const form = document.getElementById('echo')
const state = document.getElementById('state')
const heard = document.getElementById('heard')
const button = form.querySelector('button')
const socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws')
socket.onopen = () => { state.textContent = 'is open'; button.disabled = false }
socket.onmessage = (message) => { heard.textContent = 'Echo: ' + message.data }
socket.onclose = () => { state.textContent = 'was closed: reload the page to see why'; button.disabled = true }
form.onsubmit = (event) => { event.preventDefault(); socket.send(form.elements.words.value) }
`
