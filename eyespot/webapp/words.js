// What the page says, in English and Chinese. Own code: filling in names is all that its sentences need of i18next.

const WORDS = {
  en: {
    model: "Model",
    drawing: "Your picture",
    pad: "Drawing area",
    hint: "Draw here, or drop or paste a picture.",
    keys: "Arrow keys move the pen, with Shift further; Space puts it down and lifts it; Backspace takes the last stroke back.",
    undo: "Undo",
    clear: "Clear",
    choose: "Choose a picture",
    photograph: "Take a photograph",
    answer: "Answer",
    nothing: "The answer appears here as you draw.",
    waiting: "One moment …",
    probabilities: "Probabilities",
    spoken: "{label}, {share}",
    odd: "Unlike anything it has learned from: it may be none of these.",
    seen: "As the model sees it",
    seenSize: "As the model sees it: {width} x {height} pixels",
    explain: "Why?",
    explained: "Red: what is there speaks for {label}. Blue: it speaks against. Found by covering one place after another.",
    plainly: "Back to the picture",
    correction: "Is it wrong?",
    really: "It is really",
    pick: "choose …",
    save: "Save",
    saved: "Saved as {saved}. To learn from what is saved: eyespot train {folder}",
    downloaded: "Downloaded as {saved}.",
    examples: "From its test set",
    example: "Test image of {label}",
    itsLabel: "From the test set, labelled {label}.",
    card: "About this model",
    simple: "In this page, photographs are read more simply than by eyespot serve; draw dark on light, without shadows.",
    gone: "The server does not answer. Is eyespot serve still running?",
    locked: "This server wants a token.",
    token: "Token",
    enter: "Enter",
    text: "{detail}",
    unreadable: "{name} is not an image that can be opened here.",
    missing: "{name} cannot be fetched from where this page came from.",
    noObject: "No object was found on it; it is read as it is.",
    failed: "The model cannot be run in this browser: {detail}",
    penDown: "pen down",
    penUp: "pen up",
  },
  zh: {
    model: "模型",
    drawing: "你的图片",
    pad: "画板",
    hint: "在这里画，也可以拖入或粘贴图片。",
    keys: "方向键移动画笔，按住 Shift 移动得更远；空格键落笔或抬笔；退格键撤销上一笔。",
    undo: "撤销",
    clear: "清除",
    choose: "选择图片",
    photograph: "拍照",
    answer: "预测结果",
    nothing: "画图时，这里会显示预测结果。",
    waiting: "请稍候……",
    probabilities: "概率",
    spoken: "{label}，{share}",
    odd: "与训练图像都不像，可能不属于任何类别。",
    seen: "模型看到的图像",
    seenSize: "模型看到的图像：{width} x {height} 像素",
    explain: "为什么？",
    explained: "红色处支持 {label}，蓝色处反对。由逐处遮挡图片得出。",
    plainly: "返回原图",
    correction: "预测错了吗？",
    really: "正确的类别",
    pick: "请选择……",
    save: "保存",
    saved: "已保存为 {saved}。用保存的图片训练：eyespot train {folder}",
    downloaded: "已下载为 {saved}。",
    examples: "测试集中的图像",
    example: "测试图像：{label}",
    itsLabel: "来自测试集，标签是 {label}。",
    card: "关于这个模型",
    simple: "本页处理照片的方法比 eyespot serve 简单：请用深色笔画在浅色背景上，避免阴影。",
    gone: "服务器没有响应。eyespot serve 还在运行吗？",
    locked: "此服务器需要令牌。",
    token: "令牌",
    enter: "确定",
    text: "{detail}",
    unreadable: "无法打开图片 {name}。",
    missing: "无法从本页所在的位置获取 {name}。",
    noObject: "图中没有找到物体，按原图读取。",
    failed: "模型无法在此浏览器中运行：{detail}",
    penDown: "已落笔",
    penUp: "已抬笔",
  },
};
const STORED = "eyespot-language";
const current = { language: chosen() };

function chosen() {
  const wanted = remembered() ?? navigator.language;
  return wanted.toLowerCase().startsWith("zh") ? "zh" : "en";
}

function remembered() {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null; // storage is switched off
  }
}

export const language = () => current.language;

/** Changes the language, and remembers it. */
export function speak(wanted) {
  current.language = wanted;
  try {
    localStorage.setItem(STORED, wanted);
  } catch {
    // it lasts as long as the page
  }
}

/** A sentence by its name, with values put where it names them. */
export const say = (name, values = {}) =>
  WORDS[current.language][name].replace(/\{(\w+)\}/g, (whole, value) => values[value] ?? whole);

export const percent = (share) =>
  share.toLocaleString(current.language, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });

const sentencesOf = new Map(); // element → property → [sentence, values]

/** Puts a sentence on an element, where it follows the language; `property` may also be ariaLabel. */
export function tell(element, name, values = {}, property = "textContent") {
  if (!sentencesOf.has(element)) sentencesOf.set(element, new Map());
  sentencesOf.get(element).set(property, [name, values]);
  element[property] = say(name, values);
}

/** Takes the sentence off again. */
export function hush(element) {
  sentencesOf.delete(element);
  element.textContent = "";
}

/** Says everything in the current language: what was said, and what elements name in data-say and data-label. */
export function translate() {
  document.documentElement.lang = current.language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
  for (const element of document.querySelectorAll("[data-label]")) element.ariaLabel = say(element.dataset.label);
  for (const [element, sentences] of sentencesOf) {
    for (const [property, [name, values]] of sentences) element[property] = say(name, values);
  }
}
