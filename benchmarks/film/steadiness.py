"""draft"""
import sys, time, os
from pathlib import Path
import cv2, numpy as np, av
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from colorjax import Colorizer
from colorjax.science import color
from colorjax.film import flow, steadying
from colorjax.inference.upsampling import Upsampler

def read(path, start=0, count=48, size=512):
    out=[]
    with av.open(str(path)) as c:
        for i,f in enumerate(c.decode(video=0)):
            if i<start: continue
            if len(out)>=count: break
            rgb=f.to_ndarray(format='rgb24')
            s=min(1,size/max(rgb.shape[:2]))
            if s<1: rgb=cv2.resize(rgb,(round(rgb.shape[1]*s),round(rgb.shape[0]*s)),interpolation=cv2.INTER_AREA)
            out.append(color.rgb_to_lab(rgb.astype(np.float32)/255).astype(np.float32))
    return out
def true_flow(labs):
    res=[]
    for a,b in zip(labs,labs[1:]):
        onward,back=flow.between(a[...,0],b[...,0])
        there=flow.fetch(a[...,0],back)
        ok=(back[...,2]>.5)&(np.abs(there-b[...,0])<6)
        res.append((back,ok))
    return res
def warp_error(abs_,ways):
    e=[]
    for (a,b),(way,ok) in zip(zip(abs_,abs_[1:]),ways):
        d=np.abs(flow.fetch(a,way)-b).mean(-1)
        e.append(d[ok].mean())
    return float(np.mean(e))
def rgbs(Ls,abs_):
    return [color.lab_to_rgb(np.concatenate([L[...,None],ab],-1)) for L,ab in zip(Ls,abs_)]
def cdc(rgb):
    hs=[[np.histogram(r[...,c],256,(0,1))[0]/r[...,c].size for c in range(3)] for r in rgb]
    def js(p,q):
        m=(p+q)/2
        k=lambda p:np.sum(p[p>0]*np.log(p[p>0]/m[p>0]))
        return (k(p)+k(q))/2
    return np.mean([np.mean([js(hs[i][c],hs[i+d][c]) for i in range(len(hs)-d) for c in range(3)]) for d in (1,2,4)])
def cf(rgb):
    v=[]
    for r in rgb:
        R,G,B=(r[...,i]*255 for i in range(3)); rg=R-G; yb=(R+G)/2-B
        v.append(np.sqrt(rg.var()+yb.var())+.3*np.sqrt(rg.mean()**2+yb.mean()**2))
    return float(np.mean(v))
def measure(labs,abs_,ways):
    Ls=[l[...,0] for l in labs]; r=rgbs(Ls,abs_); t=rgbs(Ls,[l[...,1:] for l in labs])
    psnr=np.mean([-10*np.log10(((a-b)**2).mean()) for a,b in zip(r,t)])
    de=np.mean([color.delta_e_2000(np.concatenate([L[...,None],ab],-1),l)[::2,::2].mean() for L,ab,l in zip(Ls,abs_,labs)])
    return dict(warp=warp_error(abs_,ways),cdc=1e3*cdc(r),psnr=psnr,de=de,cf=cf(r))
def each(labs,colorizer):
    out=[]
    for l in labs:
        im=np.round(np.clip(color.lightness_to_grey(l[...,0]),0,1)*65535).astype(np.uint16)
        p=colorizer.predict(im); out.append(Upsampler(p.lightness,p.ab,im.shape).rows(slice(0,im.shape[0]),l[...,0]))
    return out
