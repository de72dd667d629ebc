/** A socket as workerd has it: it says nothing before it is accepted, and what arrives before there is a listener is lost. */
export class FakeSocket extends EventTarget {
  sent: string[] = [];
  closed = 0;
  closeOnAccept = false;
  send = (text: string) => this.sent.push(text);
  close = () => this.closed++;
  accept = () => {
    if (this.closeOnAccept) this.dispatchEvent(Object.assign(new Event("close"), { code: 1006 }));
  };
  say(data: string) {
    this.dispatchEvent(Object.assign(new Event("message"), { data }));
  }
}
