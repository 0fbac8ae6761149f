/** Preloaded into the program: its wall clock steps when the parent says so. Nothing else of time changes. */
const RealDate = Date
let step = 0

globalThis.Date = class Date extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() + step)
    else super(...given)
  }
  static now() {
    return RealDate.now() + step
  }
}

process.on('message', (by) => {
  step = Number(by)
  process.send('stepped')
})
process.channel?.unref()
